"""Pages: the plain page first, htmx fetches a fragment of the same template, every button is a form."""
