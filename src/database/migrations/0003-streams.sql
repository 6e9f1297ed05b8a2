-- What makes the address of a prediction's event stream unguessable. Whoever has the address may follow the prediction:
-- clients read streams without their token.
alter table predictions add column stream_key text not null default replace(gen_random_uuid()::text, '-', '');
