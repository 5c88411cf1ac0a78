package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"ticketgate/store"
)

// BenchmarkUpdate measures what the intake of a mail costs the store, with 1,
// 10 and 50 writers at once, beside a floor: one row a call, through the same
// committer. open makes an empty database.
func BenchmarkUpdate(b *testing.B, open func(b *testing.B) *store.DB) {
	for _, kind := range []struct {
		name string
		work func(db *store.DB, i int64) (txFunc, error)
	}{
		{"floor", floor},
		{"intake", intake},
	} {
		for _, writers := range []int{1, 10, 50} {
			b.Run(fmt.Sprintf("%s/writers=%d", kind.name, writers), func(b *testing.B) {
				db := open(b)
				var next atomic.Int64
				var wg sync.WaitGroup
				b.ResetTimer()
				for range writers {
					wg.Go(func() {
						for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
							fn, err := kind.work(db, i)
							if err == nil {
								err = db.Update(context.Background(), fn)
							}
							if err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
			})
		}
	}
}

// floor is one narrow row.
func floor(_ *store.DB, i int64) (txFunc, error) {
	return func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.AddDeliveryKey(ctx, "mail", fmt.Sprint(i), store.DeliveryKey{At: noon(0)})
		return err
	}, nil
}

// intake is what a mail of 5 kB does: three of four open a ticket, the others
// are replies.
func intake(db *store.DB, i int64) (txFunc, error) {
	raw := body(i)
	blob, err := db.Stage(context.Background(), raw)
	return func(ctx context.Context, tx *store.Tx) error { return file(ctx, tx, i, raw, blob) }, err
}

// file is the transaction of the intake.
func file(ctx context.Context, tx *store.Tx, i int64, raw []byte, blob store.Blob) error {
	if known, err := tx.DeliveryKeys(ctx, "mail", []string{blob.Hash}); err != nil || len(known) > 0 {
		return err
	}
	key := fmt.Sprintf("sender%d@customer%d.example", i%500, i%50)
	id := fmt.Sprintf("%d.%s", i, key)
	contact, err := tx.EnsureContact(ctx, store.Contact{ID: store.NewID(), Name: "Sender", CreatedAt: noon(0),
		Emails: []store.ContactEmail{{Address: key, Key: key}}})
	if err != nil {
		return err
	}
	if _, err := tx.MessageRefs(ctx, store.RefQuery{IDs: []string{"parent." + id}, Own: id, ContactID: contact.ID, Key: key}); err != nil {
		return err
	}
	var number int64
	if i%4 == 0 && i > 100 {
		t, err := tx.Ticket(ctx, 10001+i/4)
		if err == nil {
			number, t.LastIncomingAt = t.Number, noon(1)
			err = tx.UpdateTicket(ctx, t)
		}
		if err != nil && !store.IsNotFound(err) {
			return err
		}
	}
	if number == 0 {
		if number, err = tx.NextNumber(ctx); err != nil {
			return err
		}
		err := tx.InsertTicket(ctx, store.Ticket{Number: number, ID: store.NewID(), Kind: store.KindEmail, Subject: "Printer on fire",
			ChannelID: "support", StatusID: "new", ContactID: contact.ID, CreatedAt: noon(0), UpdatedAt: noon(0), LastIncomingAt: noon(0)})
		if err != nil {
			return err
		}
	}
	a := &store.Activity{ID: store.NewID(), Ticket: number, Type: store.TypeIncoming, Medium: store.MediumEmail, Subject: "Printer on fire",
		Text: string(raw[:2000]), HTML: string(raw[:2500]), ReplyText: string(raw[:500]), MessageID: id, RawHash: blob.Hash,
		Sender: store.SenderParticipant, CreatedAt: noon(1)}
	a.From, a.To = []store.Address{{Name: "Sender", Address: key}}, []store.Address{{Address: "support@desk.example"}}
	a.Auth = &store.Auth{Verdict: store.Verified, DKIM: []store.DKIMResult{{Domain: "customer.example", Result: "pass"}}}
	if err := tx.AddBlob(ctx, blob); err != nil {
		return err
	}
	if err := tx.InsertActivity(ctx, a); err != nil {
		return err
	}
	err = tx.AddMessageRefs(ctx, []store.MessageRef{{MessageID: id, ActivityID: a.ID, Kind: store.RefTheirs},
		{MessageID: "parent." + id, ActivityID: a.ID, Kind: store.RefNamed}})
	if err != nil {
		return err
	}
	err = tx.AddParticipants(ctx, []store.Participant{{Ticket: number, Key: key, Address: key, Active: true, Trusted: true},
		{Ticket: number, Key: "other." + key, Address: "other." + key}})
	if err != nil {
		return err
	}
	if _, err := tx.AddDeliveryKey(ctx, "mail", blob.Hash, store.DeliveryKey{ActivityID: a.ID, At: noon(1)}); err != nil {
		return err
	}
	return tx.Index(ctx, store.SearchEntry{ActivityID: a.ID, Subject: a.Subject, Text: a.Text,
		Addresses: []string{key}, Reference: fmt.Sprintf("T#%d", number)})
}

// body is a mail of 5 kB in words, each time another one.
func body(i int64) []byte {
	raw := make([]byte, 0, 5100)
	for n := uint64(i) + 1; len(raw) < 5000; { //nolint:gosec // small
		n = n*6364136223846793005 + 1442695040888963407
		// Words of a language: a few thousand, the first ones often.
		word := (n >> 33) % 4000 * ((n >> 20) % 4000) / 4000
		raw = fmt.Appendf(raw, "word%d ", word)
	}
	return raw
}
