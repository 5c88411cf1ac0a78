-- +goose Up
-- Numbers of other systems are found whichever way a person typed them.
DROP INDEX field_values_value;
CREATE INDEX field_values_number ON field_values (field_id, upper(value), ticket);
