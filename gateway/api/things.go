package api

import (
	"context"
	"net/http"
	"strings"

	"ticketgate/store"
)

// things is one kind of what the desk is made of: T as it is kept in the desk's
// snapshot, S as clients read it, I the body of POST and PATCH. Agents read
// them, admins change them.
type things[T, S, I any] struct {
	one, many string                     // words of the operations' ids: "status", "statuses"
	path      string                     // "/statuses"
	name      string                     // for people: "status"
	order     string                     // how the list is sorted, for people
	secret    bool                       // admins alone read them
	all       func(desk *store.Desk) []T // in the order of the list
	id        func(v *T) string          //
	shape     func(v T) S                //
	fresh     func(desk *store.Desk) T   // a new one, before its body is looked at
	apply     func(in *I, desk *store.Desk, v *T) []fieldError
	put       func(tx *store.Tx, ctx context.Context, v T) error
	remove    func(tx *store.Tx, ctx context.Context, id string) error
}

// thingBody is the input of a POST.
type thingBody[I any] struct {
	Body I
}

// thingPatch is the input of a PATCH.
type thingPatch[I any] struct {
	OnThing
	Body I
}

// register adds the five operations of a kind.
func (t things[T, S, I]) register(a *api) {
	article := "a "
	if strings.ContainsRune("aeiou", rune(t.name[0])) {
		article = "an "
	}
	readers := tagDesk
	if t.secret {
		readers = tagAdmin
	}
	find := a.inDesk(func(d *store.Desk, id string) bool { return t.find(d, id) != nil })
	add(a, route{id: "list-" + t.many, method: http.MethodGet, path: t.path, tag: readers,
		summary: "Every " + t.name + ", " + t.order}, t.list(a))
	add(a, route{id: "create-" + t.one, method: http.MethodPost, path: t.path, tag: tagAdmin,
		status: http.StatusCreated, summary: "Make " + article + t.name}, t.create(a))
	add(a, route{id: "get-" + t.one, method: http.MethodGet, path: t.path + "/{id}", tag: readers, find: find,
		summary: "One " + t.name}, t.get(a))
	add(a, route{id: "patch-" + t.one, method: http.MethodPatch, path: t.path + "/{id}", tag: tagAdmin, find: find,
		summary: "Change " + article + t.name}, t.patch(a))
	add(a, route{id: "delete-" + t.one, method: http.MethodDelete, path: t.path + "/{id}", tag: tagAdmin, find: find,
		summary: "Remove " + article + t.name + " that nothing uses"}, t.delete(a))
}

func (t things[T, S, I]) find(desk *store.Desk, id string) *T {
	all := t.all(desk)
	for i := range all {
		if t.id(&all[i]) == id {
			return &all[i]
		}
	}
	return nil
}

func (t things[T, S, I]) list(a *api) func(context.Context, *call, *Paging) (*page[S], error) {
	return func(ctx context.Context, _ *call, in *Paging) (*page[S], error) {
		desk, err := a.DB.Desk(ctx)
		if err != nil {
			return nil, err
		}
		return pageOf(t.all(desk), *in, t.id, t.shape)
	}
}

func (t things[T, S, I]) get(a *api) func(context.Context, *call, *OnThing) (*answer[S], error) {
	return func(ctx context.Context, _ *call, in *OnThing) (*answer[S], error) {
		desk, err := a.DB.Desk(ctx)
		if err != nil {
			return nil, err
		}
		v := t.find(desk, in.ID)
		if v == nil {
			return nil, notFound()
		}
		return &answer[S]{Body: t.shape(*v)}, nil
	}
}

func (t things[T, S, I]) create(a *api) func(context.Context, *call, *thingBody[I]) (*created[S], error) {
	return func(ctx context.Context, _ *call, in *thingBody[I]) (*created[S], error) {
		v, err := t.write(ctx, a, &in.Body, func(desk *store.Desk) (T, error) { return t.fresh(desk), nil })
		return &created[S]{Location: Prefix + t.path + "/" + t.id(&v), Body: t.shape(v)}, err
	}
}

func (t things[T, S, I]) patch(a *api) func(context.Context, *call, *thingPatch[I]) (*answer[S], error) {
	return func(ctx context.Context, _ *call, in *thingPatch[I]) (*answer[S], error) {
		v, err := t.write(ctx, a, &in.Body, func(desk *store.Desk) (T, error) {
			if v := t.find(desk, in.ID); v != nil {
				return *v, nil
			}
			var none T
			return none, notFound()
		})
		return &answer[S]{Body: t.shape(v)}, err
	}
}

// write changes the thing that start gives, and checks and keeps it.
func (t things[T, S, I]) write(ctx context.Context, a *api, in *I, start func(*store.Desk) (T, error)) (T, error) {
	return update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (T, error) {
		var none T
		desk, err := tx.Desk(ctx)
		if err != nil {
			return none, err
		}
		v, err := start(desk)
		if err != nil {
			return none, err
		}
		if err := refused(t.apply(in, desk, &v)); err != nil {
			return none, err
		}
		concerns(ctx, t.path+"/"+t.id(&v))
		return v, t.put(tx, ctx, v)
	})
}

func (t things[T, S, I]) delete(a *api) func(context.Context, *call, *OnThing) (*nothing, error) {
	return func(ctx context.Context, _ *call, in *OnThing) (*nothing, error) {
		return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error { return t.remove(tx, ctx, in.ID) })
	}
}
