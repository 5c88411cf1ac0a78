package storetest

import (
	"context"
	"strings"
	"testing"

	"ticketgate/store"
)

func testViews(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	put := func(id, agent, shared string, position int) {
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return tx.PutView(ctx, store.View{ID: id, AgentID: agent, Shared: shared, Position: position,
				ViewDetail: store.ViewDetail{Name: "name of " + id, Filter: `{"tag":"vip"}`, Sort: "-priority"}})
		})
	}
	wantViews := func(agent, want string) {
		t.Helper()
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			all, err := tx.Views(ctx, agent)
			var got []string
			for _, v := range all {
				got = append(got, v.ID)
			}
			if s := strings.Join(got, " "); s != want {
				t.Errorf("%s has %q, want %q", agent, s, want)
			}
			return err
		})
	}
	put("a", "anna", store.ViewNone, 2)
	put("b", "anna", store.ViewNone, 1)
	put("c", "root", store.ViewAll, 2)
	put("d", "otto", store.ViewNone, 0)
	wantViews("anna", "b a c")
	wantViews("otto", "d c")
	wantViews("root", "c")
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.View(ctx, "otto", "a")
		wantCode(t, err, store.CodeNotFound, "")
		v, err := tx.View(ctx, "otto", "c")
		if v.AgentID != "root" || v.Name != "name of c" || v.Filter != `{"tag":"vip"}` || v.Sort != "-priority" || v.Position != 2 {
			t.Errorf("%+v", v)
		}
		return err
	})
	put("a", "otto", store.ViewAll, 3) // shared now, and anna's as before
	wantViews("otto", "d c a")
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteView(ctx, "c") })
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteView(ctx, "c") }), store.CodeNotFound, "")
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteAgent(ctx, "anna") })
	wantViews("anna", "a") // b went with her; what is everybody's stays
}
