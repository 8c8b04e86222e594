
-- The tables were there before Switchback: who alters their triggers must be a member of their owner.
GRANT {tables_owner} TO {owner};
