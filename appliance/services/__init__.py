"""Services: the verbs. Front ends call these and nothing below them."""
