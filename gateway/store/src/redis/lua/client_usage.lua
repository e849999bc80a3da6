-- KEYS     as every script that changes something, although this one changes nothing
-- Answer   what the client keeps: items, units, bytes
return {kept()}
