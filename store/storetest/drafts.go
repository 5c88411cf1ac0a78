package storetest

import (
	"context"
	"testing"
	"time"

	"ticketgate/store"
)

func testDrafts(t *testing.T, open Open) {
	db := one(t, open)
	addAgent(t, db, "anna", store.RoleAdmin)
	addAgent(t, db, "otto", store.RoleAgent) // sees no ticket
	for i, d := range []store.Draft{
		{ID: "d1", AgentID: "anna", Doc: `{"a":1}`}, {ID: "d2", AgentID: "anna", Ticket: 10001, Doc: `{}`},
		{ID: "d3", AgentID: "otto", Ticket: 10001, Doc: `{}`}, {ID: "d4", AgentID: "anna", Doc: `{}`},
	} {
		d.CreatedAt, d.UpdatedAt = noon(i), noon(i)
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutDraft(ctx, d) })
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error { // replaced is what it says, and nothing else
		return tx.PutDraft(ctx, store.Draft{ID: "d1", AgentID: "anna", Doc: `{"a":2}`, CreatedAt: noon(9), UpdatedAt: noon(9)})
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		d, err := tx.Draft(ctx, "anna", "d1")
		must(t, err)
		if d.Doc != `{"a":2}` || !d.CreatedAt.Equal(noon(0)) || !d.UpdatedAt.Equal(noon(9)) {
			t.Errorf("%+v", d)
		}
		_, err = tx.Draft(ctx, "otto", "d1")
		wantCode(t, err, store.CodeNotFound, "")
		first, next, err := tx.Drafts(ctx, "anna", "", 2)
		must(t, err)
		rest, end, err := tx.Drafts(ctx, "anna", next, 2)
		must(t, err)
		if len(first) != 2 || first[0].ID != "d4" || first[1].ID != "d2" || len(rest) != 1 || rest[0].ID != "d1" || end != "" {
			t.Errorf("the list is %+v %+v %q", first, rest, end)
		}
		in, err := tx.DraftsIn(ctx, "anna", 10001)
		must(t, err)
		n, err := tx.DraftCount(ctx, "anna")
		if len(in) != 1 || in[0].ID != "d2" || n != 3 {
			t.Errorf("in the ticket are %+v, in all %d", in, n)
		}
		return err
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		found, _, err := tx.Drafts(ctx, "otto", "", 9)
		must(t, err)
		n, err := tx.DraftCount(ctx, "otto")
		if len(found) != 0 || n != 0 {
			t.Errorf("of a ticket out of sight he is shown %+v, and counted %d", found, n)
		}
		return err
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.MoveDrafts(ctx, 10001, 10002) })
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		in, err := tx.DraftsIn(ctx, "otto", 10002)
		if len(in) != 1 {
			t.Errorf("the draft did not follow: %+v", in)
		}
		return err
	})
	remove := func(ctx context.Context, tx *store.Tx) error { return tx.DeleteDraft(ctx, "anna", "d1") }
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteDraft(ctx, "otto", "d1") }), store.CodeNotFound, "")
	update(t, db, remove)
	wantCode(t, db.Update(t.Context(), remove), store.CodeNotFound, "")
}

func testUploads(t *testing.T, open Open) {
	db := one(t, open)
	for i, id := range []string{"u1", "u2", "u3"} {
		u := store.Upload{ID: id, AgentID: "anna", Name: id + ".txt", Type: "text/plain", Size: 3, Hash: "h", CreatedAt: noon(i)}
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddUpload(ctx, u) })
	}
	keep := func(agent string, ids ...string) txFunc {
		return func(ctx context.Context, tx *store.Tx) error { return tx.KeepUploads(ctx, agent, "d", ids) }
	}
	wantCode(t, db.Update(t.Context(), keep("otto", "u1")), store.CodeNotFound, "")
	update(t, db, keep("anna", "u1", "u2"))
	update(t, db, keep("anna", "u2")) // u1 goes free again
	prune := func(before time.Time) (n int) {
		update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
			n, err = tx.PruneUploads(ctx, before)
			return err
		})
		return n
	}
	if n := prune(noon(1)); n != 1 {
		t.Errorf("pruned %d, want u1", n)
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Upload(ctx, "anna", "u1")
		wantCode(t, err, store.CodeNotFound, "")
		_, err = tx.Upload(ctx, "otto", "u2")
		wantCode(t, err, store.CodeNotFound, "")
		u, err := tx.Upload(ctx, "anna", "u2")
		if u.DraftID != "d" || u.Name != "u2.txt" || u.Size != 3 || u.Hash != "h" {
			t.Errorf("%+v", u)
		}
		return err
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutDraft(ctx, store.Draft{ID: "d", AgentID: "anna", Doc: "{}"}); err != nil {
			return err
		}
		return tx.DeleteDraft(ctx, "anna", "d")
	})
	if n := prune(noon(9)); n != 2 { // its draft is gone
		t.Errorf("pruned %d, want u2 and u3", n)
	}
}
