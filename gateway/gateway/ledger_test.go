package gateway

import (
	"context"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

// TestLedgerChange: what a person at a shell does stands in a queue that the
// command can reach as soon as the command ends.
func TestLedgerChange(t *testing.T) {
	server := testbed.Redis(t)
	core := testCore(t, testConfig(t, "REDIS_URL="+server.URL()))
	ledger, err := OpenLedger(core)
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	now := time.Now()
	row := store.Delivery{
		ID: store.NewID(), Recipient: "a@example.net", RecipientKey: "a@example.net", Domain: "example.net",
		State: store.Deferred, NextAttemptAt: now.Add(time.Hour), CreatedAt: now, UpdatedAt: now,
	}
	err = core.DB.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.AddMail(ctx, store.Mail{ID: store.NewID(), Kind: store.MailAnswer}, []store.Delivery{row})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		action string
		there  bool
	}{
		{store.ActionRetry, true}, {store.ActionHold, false}, {store.ActionRelease, true}, {store.ActionCancel, false},
	} {
		if _, err := ledger.Change(t.Context(), row.ID, step.action, now); err != nil {
			t.Fatal(err)
		}
		if there, err := ledger.queue.Has(t.Context(), row.ID); err != nil || there[0] != step.there {
			t.Errorf("after %s: in the queue %v, %v", step.action, there, err)
		}
	}
	server.Kill()
	if _, err := ledger.Change(t.Context(), row.ID, "explode", now); store.CodeOf(err) != store.CodeInvalid {
		t.Errorf("explode: %v", err)
	}
}
