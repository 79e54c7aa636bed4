"""What ``import medfuse as mf`` shows, for editors and type checkers; see ``__init__.py``."""

from medfuse.errors import DicomError as DicomError
from medfuse.errors import GeometryError as GeometryError
from medfuse.errors import InputError as InputError
from medfuse.errors import MedfuseError as MedfuseError
from medfuse.errors import ModelError as ModelError
from medfuse.errors import OutputError as OutputError
from medfuse.errors import QualityRefused as QualityRefused
from medfuse.errors import Repair as Repair
from medfuse.errors import ResourceError as ResourceError
from medfuse.errors import SomeFailed as SomeFailed
from medfuse.errors import UsageError as UsageError
from medfuse.fusion.segmenter import Segmenter as Segmenter
from medfuse.fusion.segmenter import load_segmenter as load_segmenter
from medfuse.fusion.segmenter import segment as segment
from medfuse.geometry import Geometry as Geometry
from medfuse.io.inspection import inspect as inspect
from medfuse.io.manifest import read_manifest as read_manifest
from medfuse.io.segmentations import write_segmentation as write_segmentation
from medfuse.io.studies import read_aligned as read_aligned
from medfuse.io.studies import read_study as read_study
from medfuse.io.transforms import read_transform as read_transform
from medfuse.io.transforms import write_transform as write_transform
from medfuse.io.volumes import read_labels as read_labels
from medfuse.io.volumes import read_volume as read_volume
from medfuse.io.volumes import write_labels as write_labels
from medfuse.io.volumes import write_volume as write_volume
from medfuse.metrics.scores import Scores as Scores
from medfuse.metrics.scores import score as score
from medfuse.modality import MODALITIES as MODALITIES
from medfuse.modality import Modality as Modality
from medfuse.phantom.cohort import write_phantom as write_phantom
from medfuse.record import Record as Record
from medfuse.resampling import apply as apply
from medfuse.resampling import resample as resample
from medfuse.study import AlignedStudy as AlignedStudy
from medfuse.study import Cohort as Cohort
from medfuse.study import Quality as Quality
from medfuse.study import Study as Study
from medfuse.training.loop import train as train
from medfuse.training.settings import TrainSettings as TrainSettings
from medfuse.transform import IDENTITY as IDENTITY
from medfuse.transform import Affine as Affine
from medfuse.transform import Chain as Chain
from medfuse.transform import Displacement as Displacement
from medfuse.transform import Transform as Transform
from medfuse.volume import LabelMap as LabelMap
from medfuse.volume import Source as Source
from medfuse.volume import Volume as Volume
from pipelines.reporting.display import compare as compare
from pipelines.reporting.display import show as show
from pipelines.reporting.page import write_page as write_page
from registration.groupwise import align as align
from registration.pairwise import register as register
from registration.quality import assess as assess
from registration.quality import gate as gate
from registration.settings import RegisterSettings as RegisterSettings
from registration.settings import Registration as Registration

__version__: str
VERBS: dict[str, str]
__all__: list[str]
