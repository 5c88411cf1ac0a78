package api

import "ticketgate/store"

func (a *api) registerStatuses() {
	things[store.Status, store.Status, statusInput]{
		one: "status", many: "statuses", path: "/statuses", name: "status", order: "by position",
		all: func(d *store.Desk) []store.Status { return d.Statuses },
		id:  func(s *store.Status) string { return s.ID }, shape: same[store.Status],
		fresh: func(d *store.Desk) store.Status {
			return store.Status{ID: store.NewID(), Position: len(d.Statuses) + 1}
		},
		apply: (*statusInput).apply, put: (*store.Tx).PutStatus, remove: (*store.Tx).DeleteStatus,
	}.register(a)
}

// statusInput is the body of POST and PATCH.
type statusInput struct {
	Name           opt[string] `json:"name" maxLength:"100"`
	Responsibility opt[string] `json:"responsibility" enum:"us,customer,none" doc:"none where it is closed, else us, by default"`
	Closed         opt[bool]   `json:"closed"`
	Position       opt[int]    `json:"position" minimum:"0" maximum:"1000000"`
}

func (in *statusInput) apply(_ *store.Desk, s *store.Status) []fieldError {
	var errs []fieldError
	in.Name.must(&s.Name, "name", &errs)
	in.Responsibility.must(&s.Responsibility, "responsibility", &errs)
	in.Closed.must(&s.Closed, "closed", &errs)
	in.Position.must(&s.Position, "position", &errs)
	if s.Name == "" {
		errs = append(errs, fieldError{Field: "name", Message: "is required"})
	}
	if s.Responsibility == "" {
		s.Responsibility = "us"
		if s.Closed {
			s.Responsibility = "none"
		}
	}
	return errs
}
