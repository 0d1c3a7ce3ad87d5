"""How messages get to people and programs: signed webhooks, e-mail, and the outbox that tries until they are taken."""
