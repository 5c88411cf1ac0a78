package api

import (
	"strconv"
	"strings"

	"ticketgate/store"
	"ticketgate/threading"
)

func (a *api) registerCustomFields() {
	things[store.CustomField, store.CustomField, fieldInput]{
		one: "custom-field", many: "custom-fields", path: "/custom-fields", name: "custom field", order: "newest first",
		all: func(d *store.Desk) []store.CustomField { return newestFirst(d.CustomFields) },
		id:  func(f *store.CustomField) string { return f.ID }, shape: customFieldOf,
		fresh: func(*store.Desk) store.CustomField { return store.CustomField{Type: store.FieldText} },
		apply: (*fieldInput).apply, put: (*store.Tx).PutCustomField, remove: (*store.Tx).DeleteCustomField,
	}.register(a)
}

func customFieldOf(f store.CustomField) store.CustomField {
	f.Options, f.ChannelIDs = some(f.Options), some(f.ChannelIDs)
	return f
}

// fieldInput is the body of POST and PATCH.
type fieldInput struct {
	Key        opt[string]   `json:"key" maxLength:"40" doc:"what programs call it: a-z, 0-9 and _"`
	Name       opt[string]   `json:"name" maxLength:"100"`
	Type       opt[string]   `json:"type" enum:"text,number,date,checkbox,select" doc:"default text; it can't be changed later"`
	Options    opt[[]string] `json:"options" maxItems:"500" doc:"of the type select"`
	ChannelIDs opt[[]string] `json:"channel_ids" maxItems:"200" doc:"where tickets have it; none: everywhere"`
}

func (in *fieldInput) apply(desk *store.Desk, f *store.CustomField) []fieldError {
	var errs []fieldError
	before := *f
	in.Key.must(&f.Key, "key", &errs)
	in.Name.must(&f.Name, "name", &errs)
	in.Type.must(&f.Type, "type", &errs)
	in.Options.into(&f.Options)
	in.ChannelIDs.into(&f.ChannelIDs)
	for i, id := range f.ChannelIDs {
		if desk.Channel(id) == nil {
			errs = append(errs, fieldError{Field: "channel_ids[" + strconv.Itoa(i) + "]", Message: "there is no such channel"})
		}
	}
	if len(errs) == 0 {
		errs = refusals(threading.CheckCustomField(*f, before))
	}
	if f.ID == "" {
		f.ID = store.NewID()
	}
	return errs
}

// fieldsOf shows the values of a ticket's custom fields, by key.
func fieldsOf(desk *store.Desk, values map[string]string) map[string]any {
	shown := map[string]any{}
	for id, text := range values {
		if f := desk.CustomField(id); f != nil {
			shown[f.Key] = threading.FieldValue(*f, text)
		}
	}
	return shown
}

// byField reads a filter such as serial:4711.
func byField(desk *store.Desk, text string, f *store.TicketFilter) error {
	if text == "" {
		return nil
	}
	key, value, ok := strings.Cut(text, ":")
	field := desk.CustomFieldByKey(key)
	if !ok || field == nil {
		return invalid("field", "must be the key of a custom field, a colon, and its value")
	}
	f.FieldID, f.Field = field.ID, value
	return nil
}
