package api

import (
	"context"
	"net/http"
	"time"

	"ticketgate/store"
)

func (a *api) registerQuarantine() {
	find := inStore(a, (*store.Tx).Quarantined)
	add(a, route{id: "list-quarantine", method: http.MethodGet, path: "/quarantine", tag: tagAdmin,
		summary: "Mail that was taken and is no ticket, newest first"}, a.listQuarantine)
	add(a, route{id: "get-quarantined", method: http.MethodGet, path: "/quarantine/{id}", tag: tagAdmin, find: find,
		summary: "One mail of the quarantine"}, a.getQuarantined)
	add(a, route{id: "get-quarantined-raw", method: http.MethodGet, path: "/quarantine/{id}/raw", tag: tagAdmin, find: find,
		serves: "message/rfc822", summary: "Its bytes as they came in, below our own trace fields"}, a.quarantinedRaw)
	add(a, route{id: "release-quarantined", method: http.MethodPost, path: "/quarantine/{id}/release", tag: tagAdmin, find: find,
		status: http.StatusOK, summary: "Make a ticket of it"}, a.releaseQuarantined)
	add(a, route{id: "delete-quarantined", method: http.MethodPost, path: "/quarantine/{id}/delete", tag: tagAdmin, find: find,
		status: http.StatusOK, summary: "Throw it away"}, a.deleteQuarantined)
}

// quarantinedShape is a mail of the quarantine as clients read it.
type quarantinedShape struct {
	ID           string          `json:"id"`
	Reason       string          `json:"reason"`
	AccountID    *string         `json:"account_id"`
	EnvelopeFrom string          `json:"envelope_from"`
	EnvelopeTo   []string        `json:"envelope_to"`
	From         []store.Address `json:"from"`
	To           []store.Address `json:"to"`
	Subject      string          `json:"subject"`
	CreatedAt    time.Time       `json:"created_at"`
	Auth         *store.Auth     `json:"auth"`
	Rules        []traceShape    `json:"rules" doc:"of the reason rule: which put it here"`
}

func quarantinedOf(q store.Quarantined) quarantinedShape {
	return quarantinedShape{
		ID: q.ID, Reason: q.Reason, AccountID: orNull(q.AccountID), EnvelopeFrom: q.EnvelopeFrom,
		EnvelopeTo: some(q.EnvelopeTo), From: some(q.From), To: some(q.To), Subject: q.Subject,
		CreatedAt: q.CreatedAt.UTC(), Auth: q.Auth, Rules: tracesOf(q.Rules),
	}
}

func (a *api) listQuarantine(ctx context.Context, _ *call, in *Paging) (*page[quarantinedShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[quarantinedShape], error) {
		found, next, err := tx.QuarantinedList(ctx, in.Cursor, in.Limit)
		return mapped(found, next, quarantinedOf), err
	})
}

func (a *api) quarantined(ctx context.Context, id string) (store.Quarantined, error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Quarantined, error) { return tx.Quarantined(ctx, id) })
}

func (a *api) getQuarantined(ctx context.Context, _ *call, in *OnThing) (*answer[quarantinedShape], error) {
	q, err := a.quarantined(ctx, in.ID)
	return &answer[quarantinedShape]{Body: quarantinedOf(q)}, err
}

func (a *api) quarantinedRaw(ctx context.Context, _ *call, in *OnThing) (*download, error) {
	q, err := a.quarantined(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	raw, err := a.DB.Blob(ctx, q.RawHash)
	if err != nil {
		return nil, err
	}
	return a.rawMail(q.Trace, raw, q.ID), nil
}

func (a *api) releaseQuarantined(ctx context.Context, c *call, in *OnThing) (*ticketAnswer, error) {
	if a.Release == nil {
		return nil, unavailable("this listener releases no mail")
	}
	t, err := a.Release(ctx, c.agent, in.ID)
	if err != nil {
		return nil, err
	}
	return a.ticketOnce(ctx, c, t)
}

// deleteQuarantined leaves the mail's delivery keys: the same mail again is
// still known, and stays away.
func (a *api) deleteQuarantined(ctx context.Context, _ *call, in *OnThing) (*answer[quarantinedShape], error) {
	q, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Quarantined, error) {
		q, err := tx.Quarantined(ctx, in.ID)
		if err != nil {
			return q, err
		}
		if err := tx.DeleteRecheck(ctx, in.ID); err != nil && !store.IsNotFound(err) {
			return q, err
		}
		return q, tx.DeleteQuarantined(ctx, in.ID)
	})
	return &answer[quarantinedShape]{Body: quarantinedOf(q)}, err
}
