package api

import (
	"context"
	"net/http"

	"ticketgate/store"
)

func (a *api) registerStatuses() {
	find := a.inDesk(func(d *store.Desk, id string) bool { return d.Status(id) != nil })
	add(a, route{id: "list-statuses", method: http.MethodGet, path: "/statuses", tag: tagDesk,
		summary: "Statuses, by position"}, a.listStatuses)
	add(a, route{id: "create-status", method: http.MethodPost, path: "/statuses", tag: tagAdmin,
		status: http.StatusCreated, summary: "Make a status"}, a.createStatus)
	add(a, route{id: "get-status", method: http.MethodGet, path: "/statuses/{id}", tag: tagDesk, find: find,
		summary: "One status"}, a.getStatus)
	add(a, route{id: "patch-status", method: http.MethodPatch, path: "/statuses/{id}", tag: tagAdmin, find: find,
		summary: "Change a status"}, a.patchStatus)
	add(a, route{id: "delete-status", method: http.MethodDelete, path: "/statuses/{id}", tag: tagAdmin, find: find,
		summary: "Remove a status that nothing uses"}, a.deleteStatus)
}

// statusInput is the body of POST and PATCH.
type statusInput struct {
	Name           opt[string] `json:"name" maxLength:"100"`
	Responsibility opt[string] `json:"responsibility" enum:"us,customer,none" doc:"none where it is closed, else us, by default"`
	Closed         opt[bool]   `json:"closed"`
	Position       opt[int]    `json:"position" minimum:"0" maximum:"1000000"`
}

func (in *statusInput) apply(s *store.Status) []fieldError {
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

func (a *api) listStatuses(ctx context.Context, _ *call, in *Paging) (*page[store.Status], error) {
	desk, err := a.DB.Desk(ctx)
	if err != nil {
		return nil, err
	}
	return pageOf(desk.Statuses, *in, func(s *store.Status) string { return s.ID }, same)
}

func (a *api) getStatus(ctx context.Context, _ *call, in *OnThing) (*answer[store.Status], error) {
	desk, err := a.DB.Desk(ctx)
	if err != nil {
		return nil, err
	}
	s := desk.Status(in.ID)
	if s == nil {
		return nil, notFound()
	}
	return &answer[store.Status]{Body: *s}, nil
}

type newStatus struct {
	Body statusInput
}

func (a *api) createStatus(ctx context.Context, _ *call, in *newStatus) (*created[store.Status], error) {
	s, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Status, error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return store.Status{}, err
		}
		s := store.Status{ID: store.NewID(), Position: len(desk.Statuses) + 1}
		if err := refused(in.Body.apply(&s)); err != nil {
			return s, err
		}
		return s, tx.PutStatus(ctx, s)
	})
	return &created[store.Status]{Location: Prefix + "/statuses/" + s.ID, Body: s}, err
}

type statusPatch struct {
	OnThing
	Body statusInput
}

func (a *api) patchStatus(ctx context.Context, _ *call, in *statusPatch) (*answer[store.Status], error) {
	s, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Status, error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return store.Status{}, err
		}
		old := desk.Status(in.ID)
		if old == nil {
			return store.Status{}, notFound()
		}
		s := *old
		if err := refused(in.Body.apply(&s)); err != nil {
			return s, err
		}
		return s, tx.PutStatus(ctx, s)
	})
	return &answer[store.Status]{Body: s}, err
}

func (a *api) deleteStatus(ctx context.Context, _ *call, in *OnThing) (*nothing, error) {
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteStatus(ctx, in.ID) })
}
