package api

import (
	"context"
	"net/http"
	"regexp"
	"time"

	"ticketgate/store"
)

func (a *api) registerKeys() {
	find := inStore(a, (*store.Tx).DKIMKey)
	add(a, route{id: "list-dkim-keys", method: http.MethodGet, path: "/dkim-keys", tag: tagAdmin,
		summary: "DKIM keys, without their private halves"}, a.listKeys)
	add(a, route{id: "create-dkim-key", method: http.MethodPost, path: "/dkim-keys", tag: tagAdmin,
		status: http.StatusCreated, summary: "Make a DKIM key; the answer has the DNS record to publish"}, a.createKey)
	add(a, route{id: "get-dkim-key", method: http.MethodGet, path: "/dkim-keys/{id}", tag: tagAdmin, find: find,
		summary: "One DKIM key"}, a.getKey)
	add(a, route{id: "activate-dkim-key", method: http.MethodPost, path: "/dkim-keys/{id}/activate", tag: tagAdmin, find: find,
		status: http.StatusOK, summary: "Sign with a key from now on, whether DNS shows it or not"}, a.moveKey(store.DKIMActive))
	add(a, route{id: "retire-dkim-key", method: http.MethodPost, path: "/dkim-keys/{id}/retire", tag: tagAdmin, find: find,
		status: http.StatusOK, summary: "Sign with a key no more; leave its record in DNS for mail under way"}, a.moveKey(store.DKIMRetired))
	add(a, route{id: "delete-dkim-key", method: http.MethodDelete, path: "/dkim-keys/{id}", tag: tagAdmin, find: find,
		summary: "Remove a key that does not sign"}, a.deleteKey)
}

// keyShape is a DKIM key as clients read it.
type keyShape struct {
	ID          string     `json:"id"`
	Domain      string     `json:"domain"`
	Selector    string     `json:"selector"`
	Algorithm   string     `json:"algorithm"`
	State       string     `json:"state" doc:"new: waits until DNS shows it; active: signs; retired"`
	Record      string     `json:"record" doc:"the line for the zone file"`
	CreatedAt   time.Time  `json:"created_at"`
	ActivatedAt *time.Time `json:"activated_at"`
}

func (a *api) keyOf(k store.DKIMKey) keyShape {
	s := keyShape{
		ID: k.ID, Domain: k.Domain, Selector: k.Selector, Algorithm: k.Algorithm, State: k.State,
		CreatedAt: k.CreatedAt.UTC(), ActivatedAt: when(k.ActivatedAt),
	}
	if a.KeyRecord != nil {
		s.Record = a.KeyRecord(k)
	}
	return s
}

type keyQuery struct {
	Paging
	Domain string `query:"domain" maxLength:"300"`
}

func (a *api) listKeys(ctx context.Context, _ *call, in *keyQuery) (*page[keyShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[keyShape], error) {
		all, err := tx.DKIMKeys(ctx, in.Domain)
		if err != nil {
			return nil, err
		}
		return pageOf(newestFirst(all), in.Paging, func(k *store.DKIMKey) string { return k.ID }, a.keyOf)
	})
}

func (a *api) getKey(ctx context.Context, _ *call, in *OnThing) (*answer[keyShape], error) {
	k, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.DKIMKey, error) { return tx.DKIMKey(ctx, in.ID) })
	return &answer[keyShape]{Body: a.keyOf(k)}, err
}

type newKey struct {
	Body struct {
		Domain    string `json:"domain" required:"true" maxLength:"300"`
		Selector  string `json:"selector" maxLength:"63" doc:"default: of the day and the algorithm"`
		Algorithm string `json:"algorithm" enum:"rsa,ed25519" default:"rsa"`
		Activate  bool   `json:"activate" doc:"sign with it at once"`
	}
}

// selectorForm is one DNS label, or several (RFC 6376, 3.1).
var selectorForm = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?)*$`)

func (a *api) createKey(ctx context.Context, _ *call, in *newKey) (*created[keyShape], error) {
	b := &in.Body
	var errs []fieldError
	named := domains([]string{b.Domain}, &errs)
	if len(named) == 0 {
		return nil, invalid("domain", "is not a domain")
	}
	if b.Selector == "" {
		b.Selector = "tg" + a.Now().UTC().Format("20060102") + b.Algorithm[:1]
	}
	if !selectorForm.MatchString(b.Selector) {
		return nil, invalid("selector", "is not a DNS label")
	}
	if a.NewKey == nil {
		return nil, unavailable("this listener makes no keys")
	}
	k, err := a.NewKey(named[0], b.Selector, b.Algorithm)
	if err != nil {
		return nil, err
	}
	if b.Activate {
		k.State, k.ActivatedAt = store.DKIMActive, a.Now()
	}
	concerns(ctx, "/dkim-keys/"+k.ID)
	err = a.change(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.PutDKIMKey(ctx, k) })
	return &created[keyShape]{Location: Prefix + "/dkim-keys/" + k.ID, Body: a.keyOf(k)}, err
}

// moveKey makes the handler that brings a key into a state; one that is there
// already stays as it is.
func (a *api) moveKey(state string) func(context.Context, *call, *OnThing) (*answer[keyShape], error) {
	return func(ctx context.Context, _ *call, in *OnThing) (*answer[keyShape], error) {
		k, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.DKIMKey, error) {
			k, err := tx.DKIMKey(ctx, in.ID)
			if err != nil || k.State == state {
				return k, err
			}
			k.State = state
			if state == store.DKIMActive {
				k.ActivatedAt = a.Now()
			}
			return k, tx.PutDKIMKey(ctx, k)
		})
		return &answer[keyShape]{Body: a.keyOf(k)}, err
	}
}

func (a *api) deleteKey(ctx context.Context, _ *call, in *OnThing) (*nothing, error) {
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error {
		k, err := tx.DKIMKey(ctx, in.ID)
		if err != nil {
			return err
		}
		if k.State == store.DKIMActive {
			return newProblem(http.StatusConflict, "the key signs the mail of its domain: retire it first").because(store.ReasonInUse)
		}
		return tx.DeleteDKIMKey(ctx, in.ID)
	})
}
