package storetest

import (
	"context"
	"maps"
	"slices"
	"testing"

	"ticketgate/store"
)

func testFieldValues(t *testing.T, open Open) {
	db := one(t, open)
	set := func(number int64, field, value string) {
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.SetFieldValue(ctx, number, field, value) })
	}
	set(1, "serial", "a")
	set(1, "size", "M")
	set(2, "serial", "b")
	set(3, "serial", "A")
	set(2, "serial", "a") // replaced
	set(1, "size", "")    // taken away
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.FieldValues(ctx, 1, 2, 9)
		if !maps.Equal(all[1], map[string]string{"serial": "a"}) || !maps.Equal(all[2], map[string]string{"serial": "a"}) || len(all) != 2 {
			t.Errorf("%v", all)
		}
		must(t, err)
		for _, c := range []struct {
			values []string
			limit  int
			want   []int64
		}{{[]string{"A"}, 9, []int64{3, 2, 1}}, {[]string{"A", "B"}, 2, []int64{3, 2}}, {[]string{"B"}, 9, nil}, {nil, 9, nil}} {
			if got, err := tx.TicketsByField(ctx, "serial", c.values, c.limit); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%v: %v, %v, want %v", c.values, got, err, c.want)
			}
		}
		return nil
	})
}
