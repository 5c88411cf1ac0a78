package api

import (
	"strings"

	"ticketgate/store"
)

func (a *api) registerMarkers() {
	things[store.Marker, store.Marker, markerInput]{
		one: "marker", many: "markers", path: "/markers", name: "colour marker", order: "newest first",
		all: func(d *store.Desk) []store.Marker { return newestFirst(d.Markers) },
		id:  func(m *store.Marker) string { return m.ID }, shape: same[store.Marker],
		fresh: func(*store.Desk) store.Marker { return store.Marker{ID: store.NewID()} },
		apply: (*markerInput).apply, put: (*store.Tx).PutMarker, remove: (*store.Tx).DeleteMarker,
	}.register(a)
}

// markerInput is the body of POST and PATCH.
type markerInput struct {
	Name   opt[string] `json:"name" maxLength:"100"`
	Colour opt[string] `json:"colour" maxLength:"7" doc:"#rrggbb"`
}

func (in *markerInput) apply(_ *store.Desk, m *store.Marker) []fieldError {
	var errs []fieldError
	in.Name.must(&m.Name, "name", &errs)
	in.Colour.must(&m.Colour, "colour", &errs)
	m.Colour = strings.ToLower(m.Colour)
	if m.Name == "" {
		errs = append(errs, fieldError{Field: "name", Message: "is required"})
	}
	if !store.IsColour(m.Colour) {
		errs = append(errs, fieldError{Field: "colour", Message: "must be written as #rrggbb"})
	}
	return errs
}
