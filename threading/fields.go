package threading

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

var fieldKey = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// CheckCustomField says what is wrong with a custom field: invalid, with the
// field. before is the same one as it was, zero for a new one.
func CheckCustomField(f, before store.CustomField) error {
	switch {
	case !fieldKey.MatchString(f.Key):
		return store.Invalid("key", "begins with a letter and holds only a-z, 0-9 and _, at most 40")
	case f.Name == "":
		return store.Invalid("name", "is required")
	case before.ID != "" && f.Type != before.Type:
		return store.Invalid("type", "can't be changed: tickets may have values of it")
	}
	switch f.Type {
	case store.FieldText, store.FieldNumber, store.FieldDate, store.FieldCheckbox:
		if len(f.Options) > 0 {
			return store.Invalid("options", "are for the type select")
		}
	case store.FieldSelect:
		if len(f.Options) == 0 || slices.Contains(f.Options, "") || len(slices.Compact(slices.Sorted(slices.Values(f.Options)))) < len(f.Options) {
			return store.Invalid("options", "are required, each once")
		}
	default:
		return store.Invalid("type", "must be text, number, date, checkbox or select")
	}
	return nil
}

// maxFieldText is the longest value of a text field, in octets.
const maxFieldText = 2000

// fieldText brings a value, as JSON has it, into the form in which it is kept; ""
// for none.
func fieldText(f store.CustomField, value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case bool:
		if f.Type == store.FieldCheckbox {
			return strconv.FormatBool(v), nil
		}
	case float64:
		if f.Type == store.FieldNumber {
			return strconv.FormatFloat(v, 'f', -1, 64), nil
		}
	case string:
		return fieldOfString(f, v)
	}
	return "", wrongType(f)
}

func fieldOfString(f store.CustomField, v string) (string, error) {
	if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", store.Invalid("fields."+f.Key, "must hold no line break or control character")
	}
	text := message.CleanLine(v)
	switch {
	case text == "":
		return "", nil
	case len(text) > maxFieldText:
		return "", store.Invalid("fields."+f.Key, "has more than %d bytes", maxFieldText)
	case f.Type == store.FieldText, f.Type == store.FieldSelect && slices.Contains(f.Options, text):
		return text, nil
	case f.Type == store.FieldSelect:
		return "", store.Invalid("fields."+f.Key, "must be one of its options")
	case f.Type == store.FieldDate:
		if _, err := time.Parse(time.DateOnly, text); err == nil {
			return text, nil
		}
	}
	return "", wrongType(f)
}

func wrongType(f store.CustomField) error {
	want := map[string]string{
		store.FieldText: "a text", store.FieldNumber: "a number", store.FieldDate: "a date such as 2026-11-25",
		store.FieldCheckbox: "true or false", store.FieldSelect: "one of its options",
	}
	return store.Invalid("fields."+f.Key, "must be %s", want[f.Type])
}

// FieldValue gives a value that is kept as JSON has it.
func FieldValue(f store.CustomField, text string) any {
	switch f.Type {
	case store.FieldNumber:
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
	case store.FieldCheckbox:
		return text == "true"
	}
	return text
}

// patchFields gives a ticket the values of custom fields, by key, and says what
// changed; null takes one away.
func (w *work) patchFields(ctx context.Context, t *store.Ticket, values map[string]any) ([]store.Change, error) {
	if len(values) == 0 {
		return nil, nil
	}
	all, err := w.tx.FieldValues(ctx, t.Number)
	if err != nil {
		return nil, err
	}
	var changes []store.Change
	for _, key := range slices.Sorted(maps.Keys(values)) {
		f := w.desk.CustomFieldByKey(key)
		switch {
		case f == nil:
			return nil, store.Invalid("fields", "there is a key in it that no custom field has")
		case !f.In(t.ChannelID):
			return nil, store.Invalid("fields."+key, "tickets of the channel %s don't have it", w.channelName(t.ChannelID))
		}
		text, err := fieldText(*f, values[key])
		if err != nil {
			return nil, err
		}
		was := all[t.Number][f.ID]
		if text == was {
			continue
		}
		if err := w.tx.SetFieldValue(ctx, t.Number, f.ID, text); err != nil {
			return nil, err
		}
		changes = append(changes, store.Change{Field: "fields." + key, From: was, To: text})
	}
	if len(changes) > 0 {
		t.Version++
	}
	return changes, nil
}

// shareFields gives a ticket the values that another one, which goes into it,
// has and it lacks, and says what changed.
func (w *work) shareFields(ctx context.Context, from int64, to *store.Ticket) ([]store.Change, error) {
	all, err := w.tx.FieldValues(ctx, from, to.Number)
	if err != nil {
		return nil, err
	}
	var changes []store.Change
	for _, id := range slices.Sorted(maps.Keys(all[from])) {
		f, value := w.desk.CustomField(id), all[from][id]
		if f == nil || all[to.Number][id] != "" {
			continue
		}
		if err := w.tx.SetFieldValue(ctx, to.Number, id, value); err != nil {
			return nil, err
		}
		changes = append(changes, store.Change{Field: "fields." + f.Key, To: value})
	}
	if len(changes) > 0 {
		to.Version++
	}
	return changes, nil
}

// indexFields has a ticket found by the values that an entry of its history gave
// it.
func (w *work) indexFields(ctx context.Context, t store.Ticket, a store.Activity) error {
	words := fieldWords(a.Changes)
	if len(words) == 0 {
		return nil
	}
	return w.tx.Index(ctx, store.SearchEntry{
		ActivityID: a.ID, Text: strings.Join(words, "\n"), Reference: w.s.Reference(t.Number),
	})
}

// fieldWords gives the values that changes gave to custom fields.
func fieldWords(changes []store.Change) []string {
	var words []string
	for _, c := range changes {
		if strings.HasPrefix(c.Field, "fields.") && c.To != "" {
			words = append(words, c.To)
		}
	}
	return words
}
