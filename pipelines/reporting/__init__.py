"""Pictures and pages: ``page`` writes the HTML file, ``display`` draws in notebooks.

``planes`` cuts volumes, ``figures`` turns cuts into pictures, ``views`` chooses what the page
shows, ``wording`` says it.
"""
