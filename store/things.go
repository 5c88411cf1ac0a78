package store

import (
	"context"
	"regexp"
)

// thingKind is a kind of things that a desk is made of and that are all kept
// alike: as one document each, with a name that no other of its kind has.
type thingKind string

const (
	thingMarker   thingKind = "marker"
	thingTemplate thingKind = "template"
	thingField    thingKind = "custom_field"
	thingCalendar thingKind = "calendar"
	thingLevel    thingKind = "service_level"
	thingRule     thingKind = "rule"
	thingWebhook  thingKind = "webhook"
)

// Marker is a colour that agents mark tickets with.
type Marker struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Colour string `json:"colour"` // IsColour
}

var colourForm = regexp.MustCompile(`^#[0-9a-f]{6}$`)

// IsColour tells whether a text is a colour as it is kept: #rrggbb, lower case.
func IsColour(text string) bool { return colourForm.MatchString(text) }

// PutMarker adds or replaces a colour marker; a name that another one has is a
// conflict (ReasonDuplicate).
func (tx *Tx) PutMarker(ctx context.Context, m Marker) error {
	return tx.putThing(ctx, thingMarker, m.ID, m.Name, m)
}

// DeleteMarker removes a colour marker; one that a ticket bears or a rule sets is a conflict
// (ReasonInUse).
func (tx *Tx) DeleteMarker(ctx context.Context, id string) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	if err := desk.ruled(id); err != nil {
		return err
	}
	return tx.deleteThing(ctx, thingMarker, "marker", id,
		use{"a ticket", `SELECT 1 FROM tickets WHERE marker_id = $1 LIMIT 1`})
}

// putThing adds or replaces a thing.
func (tx *Tx) putThing(ctx context.Context, kind thingKind, id, name string, v any) error {
	if err := tx.changeDesk(ctx); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO things (id, kind, name, doc) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, doc = excluded.doc`, id, string(kind), name, toJSON(v))
	return natural("name", err)
}

// deleteThing removes a thing that nothing refers to; what is its word for
// people.
func (tx *Tx) deleteThing(ctx context.Context, kind thingKind, what, id string, uses ...use) error {
	if err := tx.changeDesk(ctx); err != nil {
		return err
	}
	if err := tx.unused(ctx, id, uses...); err != nil {
		return err
	}
	return tx.touched(ctx, what, `DELETE FROM things WHERE id = $1 AND kind = $2`, id, string(kind))
}

// readThings fills in the things of a desk's snapshot, each kind oldest first.
func (tx *Tx) readThings(ctx context.Context, d *Desk) error {
	return tx.query(ctx, func(r Rows) error {
		var kind, text string
		if err := r.Scan(&kind, &text); err != nil {
			return err
		}
		return d.addThing(thingKind(kind), text)
	}, `SELECT kind, doc FROM things ORDER BY id`)
}

// addThing puts a thing where it belongs. A kind that this version does not
// know is left alone.
func (d *Desk) addThing(kind thingKind, text string) error {
	switch kind {
	case thingMarker:
		return addDoc(&d.Markers, text)
	case thingTemplate:
		return addDoc(&d.Templates, text)
	case thingField:
		return addDoc(&d.CustomFields, text)
	case thingCalendar:
		return addDoc(&d.Calendars, text)
	case thingLevel:
		return addDoc(&d.ServiceLevels, text)
	case thingRule:
		return addDoc(&d.Rules, text)
	case thingWebhook:
		return addDoc(&d.Webhooks, text)
	}
	return nil
}

func addDoc[T any](all *[]T, text string) error {
	var v T
	if err := doc(&v).Scan(text); err != nil {
		return err
	}
	*all = append(*all, v)
	return nil
}

// thing finds one of a kind by its id or name, or nil.
func thing[T any](all []T, want string, of func(*T) string) *T {
	for i := range all {
		if of(&all[i]) == want {
			return &all[i]
		}
	}
	return nil
}

// Marker gives a colour marker, or nil.
func (d *Desk) Marker(id string) *Marker {
	return thing(d.Markers, id, func(m *Marker) string { return m.ID })
}
