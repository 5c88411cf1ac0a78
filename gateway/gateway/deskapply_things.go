package gateway

import (
	"context"
	"slices"
	"strings"

	"ticketgate/store"
	"ticketgate/threading"
)

// things is one kind of what a desk file names by a name alone: E as it stands
// in the file, T as it is kept.
type things[E, T any] struct {
	kind      string // as in the file
	key       string // of the entry's name there; "": name
	entries   []E
	all       []T
	entryName func(e *E) string
	name      func(v *T) string
	fresh     func(name string, i int) T
	fields    func(d *difference, i int, v *T, e *E)
	put       func(ctx context.Context, v T) error
	remove    func(ctx context.Context, v T) error
}

// apply makes the things what the file says of them.
func (t things[E, T]) apply(ctx context.Context, a *applier) error {
	for i := range t.entries {
		e := &t.entries[i]
		name := t.entryName(e)
		v := t.fresh(name, i)
		at := slices.IndexFunc(t.all, func(v T) bool { return t.name(&v) == name })
		if at >= 0 {
			v = t.all[at]
		}
		d := &difference{kind: t.kind, name: shown(name), added: at < 0}
		t.fields(d, i, &v, e)
		key := t.key
		if key == "" {
			key = "name"
		}
		if err := a.put(d, pathOf(t.kind, i, key), func() error { return t.put(ctx, v) }); err != nil {
			return err
		}
	}
	return nil
}

// prune removes the things that the file doesn't name and nothing uses.
func (t things[E, T]) prune(ctx context.Context, a *applier) error {
	for i := range t.all {
		v := &t.all[i]
		if slices.ContainsFunc(t.entries, func(e E) bool { return t.entryName(&e) == t.name(v) }) {
			continue
		}
		if err := a.remove(t.kind, shown(t.name(v)), func() error { return t.remove(ctx, *v) }, nil); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) statuses() things[StatusEntry, store.Status] {
	return things[StatusEntry, store.Status]{
		kind: "status", entries: a.file.Statuses, all: a.desk.Statuses,
		entryName: func(e *StatusEntry) string { return e.Name },
		name:      func(s *store.Status) string { return s.Name },
		fresh: func(name string, i int) store.Status {
			return store.Status{ID: store.NewID(), Name: name, Responsibility: "us", Position: len(a.desk.Statuses) + i + 1}
		},
		fields: a.statusFields, put: a.tx.PutStatus,
		remove: func(ctx context.Context, s store.Status) error { return a.tx.DeleteStatus(ctx, s.ID) },
	}
}

func (a *applier) statusFields(d *difference, i int, s *store.Status, e *StatusEntry) {
	setField(d, "responsibility", &s.Responsibility, e.Responsibility)
	setField(d, "closed", &s.Closed, e.Closed)
	setField(d, "position", &s.Position, e.Position)
	if s.Closed != (s.Responsibility == "none") {
		a.bad(pathOf("status", i, "closed"), `a closed status has the responsibility "none", and an open one has not`)
	}
}

func (a *applier) markers() things[MarkerEntry, store.Marker] {
	return things[MarkerEntry, store.Marker]{
		kind: "marker", entries: a.file.Markers, all: a.desk.Markers,
		entryName: func(e *MarkerEntry) string { return e.Name },
		name:      func(m *store.Marker) string { return m.Name },
		fresh:     func(name string, _ int) store.Marker { return store.Marker{ID: store.NewID(), Name: name} },
		fields:    a.markerFields, put: a.tx.PutMarker,
		remove: func(ctx context.Context, m store.Marker) error { return a.tx.DeleteMarker(ctx, m.ID) },
	}
}

func (a *applier) markerFields(d *difference, i int, m *store.Marker, e *MarkerEntry) {
	if e.Colour != nil {
		colour := strings.ToLower(*e.Colour)
		setField(d, "colour", &m.Colour, &colour)
	}
	if !store.IsColour(m.Colour) {
		a.bad(pathOf("marker", i, "colour"), "%q is not written as #rrggbb", m.Colour)
	}
}

func (a *applier) templates() things[TemplateEntry, store.Template] {
	return things[TemplateEntry, store.Template]{
		kind: "template", entries: a.file.Templates, all: a.desk.Templates,
		entryName: func(e *TemplateEntry) string { return e.Name },
		name:      func(t *store.Template) string { return t.Name },
		fresh:     func(name string, _ int) store.Template { return store.Template{ID: store.NewID(), Name: name} },
		fields:    a.templateFields, put: a.tx.PutTemplate,
		remove: func(ctx context.Context, t store.Template) error { return a.tx.DeleteTemplate(ctx, t.ID) },
	}
}

func (a *applier) templateFields(d *difference, i int, t *store.Template, e *TemplateEntry) {
	setField(d, "subject", &t.Subject, e.Subject)
	setField(d, "text", &t.Text, e.Text)
	setField(d, "html", &t.HTML, e.HTML)
	a.channelList(d, pathOf("template", i, "channels"), &t.ChannelIDs, e.Channels)
	if err := threading.CheckTemplate(*t); err != nil {
		a.bad(pathOf("template", i, "text"), "%v", err)
	}
	if a.desk.SendsByItself(t.ID) {
		if err := threading.CheckAcknowledgement(*t); err != nil {
			a.bad(pathOf("template", i, "text"), "%v", err)
		}
	}
}

// channelList is setList for a list of channels, which the file names.
func (a *applier) channelList(d *difference, path string, have *[]string, want *[]string) {
	if want == nil {
		return
	}
	var names, ids []string
	for _, id := range *have {
		names = append(names, a.channelName(id))
	}
	for _, name := range *want {
		c := a.desk.ChannelByName(name)
		if c == nil {
			a.bad(path, "there is no channel %q", name)
			return
		}
		ids = append(ids, c.ID)
	}
	setList(d, "channels", &names, want)
	*have = ids
}

func (a *applier) customFields() things[FieldEntry, store.CustomField] {
	return things[FieldEntry, store.CustomField]{
		kind: "custom_field", key: "key", entries: a.file.Fields, all: a.desk.CustomFields,
		entryName: func(e *FieldEntry) string { return e.Key },
		name:      func(f *store.CustomField) string { return f.Key },
		fresh: func(key string, _ int) store.CustomField {
			return store.CustomField{Key: key, Name: key, Type: store.FieldText}
		},
		fields: a.customFieldFields, put: a.tx.PutCustomField,
		remove: func(ctx context.Context, f store.CustomField) error { return a.tx.DeleteCustomField(ctx, f.ID) },
	}
}

func (a *applier) customFieldFields(d *difference, i int, f *store.CustomField, e *FieldEntry) {
	before := *f
	setField(d, "name", &f.Name, e.Name)
	setField(d, "type", &f.Type, e.Type)
	setList(d, "options", &f.Options, e.Options)
	a.channelList(d, pathOf("custom_field", i, "channels"), &f.ChannelIDs, e.Channels)
	if err := threading.CheckCustomField(*f, before); err != nil {
		a.bad(pathOf("custom_field", i, "type"), "%v", err)
	}
	if f.ID == "" {
		f.ID = store.NewID()
	}
}
