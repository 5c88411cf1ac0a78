package outbound

import (
	"context"
	"errors"
	"testing"
	"time"

	"ticketgate/store"
)

func TestActivatePublished(t *testing.T) {
	r := embeddedRig(t)
	waiting := func(k *store.DKIMKey) { k.State, k.ActivatedAt = store.DKIMNew, time.Time{} }
	shown := r.key("shown.example", AlgorithmEd25519, waiting)
	hidden := r.key("hidden.example", AlgorithmEd25519, waiting)
	broken := r.key("broken.example", AlgorithmEd25519, waiting)
	retired := r.key("retired.example", AlgorithmEd25519, func(k *store.DKIMKey) { k.State = store.DKIMRetired })
	lookup := func(_ context.Context, name string) ([]string, error) {
		switch name {
		case RecordName(shown):
			return []string{"v=spf1 -all", recordValue(shown)}, nil
		case RecordName(broken):
			return nil, errors.New("server failure")
		case RecordName(retired):
			return []string{recordValue(retired)}, nil
		}
		return nil, nil
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	for i, want := range []int{1, 0} {
		activated, err := ActivatePublished(t.Context(), r.db, lookup, now)
		if err == nil || len(activated) != want {
			t.Errorf("run %d: %d activated, %v", i, len(activated), err)
		}
	}
	for id, want := range map[string]string{
		shown.ID: store.DKIMActive, hidden.ID: store.DKIMNew, broken.ID: store.DKIMNew, retired.ID: store.DKIMRetired,
	} {
		err := r.db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			k, err := tx.DKIMKey(ctx, id)
			if k.State != want || want == store.DKIMActive && !k.ActivatedAt.Equal(now) {
				t.Errorf("%s is %s since %v", k.Domain, k.State, k.ActivatedAt)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
