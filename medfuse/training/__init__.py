"""Learn to segment from a cohort: plan, cases in memory, batches, losses, and a loop that resumes.

Read ``settings``, ``plan``, ``cases``, ``draw``, ``augment``, ``losses``, ``tasks``, ``loop``.
"""
