package store

import (
	"context"
	"errors"
	"slices"
)

// CustomField is something that an admin wants to know of tickets.
type CustomField struct {
	ID         string   `json:"id"`
	Key        string   `json:"key"`  // what programs call it; no other has it
	Name       string   `json:"name"` // what people call it
	Type       string   `json:"type"` // one of the Field words
	Options    []string `json:"options"`
	ChannelIDs []string `json:"channel_ids"` // where tickets have it; none: everywhere
}

// The types of custom field, and how a value of each is kept.
const (
	FieldText     = "text"
	FieldNumber   = "number"   // shortest decimal form
	FieldDate     = "date"     // 2006-01-02
	FieldCheckbox = "checkbox" // true, false
	FieldSelect   = "select"   // one of the Options
)

// In tells whether tickets of a channel have the field.
func (f CustomField) In(channelID string) bool {
	return len(f.ChannelIDs) == 0 || slices.Contains(f.ChannelIDs, channelID)
}

// PutCustomField adds or replaces a custom field; a key that another one has is
// a conflict (ReasonDuplicate).
func (tx *Tx) PutCustomField(ctx context.Context, f CustomField) error {
	err := tx.putThing(ctx, thingField, f.ID, f.Key, f)
	if e, ok := errors.AsType[*Error](err); ok && e.Reason == ReasonDuplicate {
		return &Error{Code: e.Code, Reason: e.Reason, Field: "key", Message: e.Message, Err: e.Err}
	}
	return err
}

// DeleteCustomField removes a custom field; one of which a ticket has a value, or
// that a rule fills, is a conflict (ReasonInUse).
func (tx *Tx) DeleteCustomField(ctx context.Context, id string) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	if f := desk.CustomField(id); f != nil {
		for _, r := range desk.Rules {
			if r.Actions.fills(f.Key) {
				return inUse("rule " + r.Name)
			}
		}
	}
	return tx.deleteThing(ctx, thingField, "custom field", id,
		use{"a ticket", `SELECT 1 FROM field_values WHERE field_id = $1 LIMIT 1`})
}

// CustomField gives a custom field, or nil.
func (d *Desk) CustomField(id string) *CustomField {
	return thing(d.CustomFields, id, func(f *CustomField) string { return f.ID })
}

// CustomFieldByKey gives the custom field of this key, or nil.
func (d *Desk) CustomFieldByKey(key string) *CustomField {
	return thing(d.CustomFields, key, func(f *CustomField) string { return f.Key })
}

// FieldValues gives the values that tickets have, by ticket and field id.
func (tx *Tx) FieldValues(ctx context.Context, numbers ...int64) (map[int64]map[string]string, error) {
	all := map[int64]map[string]string{}
	if len(numbers) == 0 {
		return all, nil
	}
	condition, args := tx.inNumbers("ticket", 1, numbers)
	err := tx.query(ctx, func(r Rows) error {
		var number int64
		var id, value string
		err := r.Scan(&number, &id, &value)
		if all[number] == nil {
			all[number] = map[string]string{}
		}
		all[number][id] = value
		return err
	}, `SELECT ticket, field_id, value FROM field_values WHERE `+condition, args...)
	return all, err
}

// SetFieldValue gives a ticket a value; "" takes it away.
func (tx *Tx) SetFieldValue(ctx context.Context, number int64, fieldID, value string) error {
	if value == "" {
		return tx.queue(ctx, `DELETE FROM field_values WHERE ticket = $1 AND field_id = $2`, number, fieldID)
	}
	return tx.queue(ctx, `INSERT INTO field_values (ticket, field_id, value) VALUES ($1, $2, $3)
		ON CONFLICT (ticket, field_id) DO UPDATE SET value = excluded.value`, number, fieldID, value)
}

// TicketsByField gives the tickets that have one of the values, which are given in
// upper case and found in any (of ASCII), the newest first and at most limit.
func (tx *Tx) TicketsByField(ctx context.Context, fieldID string, values []string, limit int) ([]int64, error) {
	if len(values) == 0 {
		return nil, nil
	}
	condition, args := tx.in("upper(value)", 3, values)
	return list(ctx, tx, func(r Rows, n *int64) error { return r.Scan(n) },
		`SELECT ticket FROM field_values WHERE field_id = $1 AND `+condition+` ORDER BY ticket DESC LIMIT $2`,
		append([]any{fieldID, limit}, args...)...)
}
