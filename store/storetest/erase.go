package storetest

import (
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"ticketgate/store"
	"ticketgate/store/blob"
)

func testErasures(t *testing.T, open Open) {
	db := one(t, open)
	e := store.Erasure{ID: store.NewID(), ContactID: "c1", AgentID: "a1", StartedAt: noon(0), Work: &store.ErasureWork{Keys: []string{"x@y.example"}, Next: 7}}
	put := func(e store.Erasure) error {
		return db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.PutErasure(ctx, e) })
	}
	must(t, put(e))
	second := e
	second.ID = store.NewID()
	wantCode(t, put(second), store.CodeConflict, store.ReasonDuplicate)
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.OpenErasure(ctx, "c1")
		if !reflect.DeepEqual(got, e) {
			t.Errorf("erasure %+v, want %+v", got, e)
		}
		return err
	})
	e.EndedAt, e.Work, e.Hashes, e.Activities = noon(1), nil, []string{"h"}, 3
	must(t, put(e))
	must(t, put(second)) // the first one has ended
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		all, next, err := tx.Erasures(ctx, "", 1)
		if err != nil || len(all) != 1 || all[0].ID != second.ID || next == "" {
			t.Errorf("erasures %+v, %q, %v", all, next, err)
		}
		all, next, err = tx.Erasures(ctx, next, 1)
		if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], e) || next != "" {
			t.Errorf("then %+v, %q, %v", all, next, err)
		}
		_, err = tx.OpenErasure(ctx, "c2")
		wantCode(t, err, store.CodeNotFound, "")
		return nil
	})
}

func testTicketsNaming(t *testing.T, open Open) {
	db := one(t, open)
	person := store.ErasureWork{IDs: []string{"c1", "c2"}, Keys: []string{"ida_i@x.example"}, Addresses: []string{"Ida_I@x.example"}}
	own := addTicket(t, db, func(ticket *store.Ticket) { ticket.ContactID = "c2" }).Number
	named, detailed, said, sent, none := addTicket(t, db, nil).Number, addTicket(t, db, nil).Number, addTicket(t, db, nil).Number, addTicket(t, db, nil).Number, addTicket(t, db, nil).Number
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddParticipants(ctx, []store.Participant{{Ticket: named, Key: "ida_i@x.example"}, {Ticket: detailed, Key: "ida_i+news@x.example"}, {Ticket: none, Key: "idaxi@x.example"}}); err != nil {
			return err
		}
		return tx.AddMail(ctx, store.Mail{ID: "m", Kind: store.MailAnswer, Ticket: sent, MailContent: store.MailContent{Text: "Ask IDA_I@X.example"}},
			[]store.Delivery{{ID: "d", RecipientKey: "nora@x.example", State: store.Queued}})
	})
	addActivity(t, db, said, func(a *store.Activity) { a.Text = "from ida_i@x.example" })
	addActivity(t, db, none, func(a *store.Activity) { a.Text = "from idaxi@x.example" })
	for _, c := range []struct {
		from, before int64
		want         []int64
	}{{0, none + 1, []int64{own, named, detailed, said, sent}}, {named, said, []int64{named, detailed}}} {
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.TicketsNaming(ctx, c.from, c.before, person)
			if !slices.Equal(got, c.want) {
				t.Errorf("from %d before %d: %v, want %v", c.from, c.before, got, c.want)
			}
			return err
		})
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		all, cancelled, err := tx.EraseRecipient(ctx, sent, []string{"nora@x.example"}, noon(5))
		if all != 1 || cancelled != 1 {
			t.Errorf("%d deliveries, %d cancelled", all, cancelled)
		}
		return err
	})
}

// A Message-ID that was forgotten still leads to its activity.
func testForgottenMessageID(t *testing.T, open Open) {
	db := one(t, open)
	number := addTicket(t, db, nil).Number
	a := addActivity(t, db, number, nil)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddMessageRefs(ctx, []store.MessageRef{{MessageID: "one@x.example", ActivityID: a.ID, Kind: store.RefTheirs}}); err != nil {
			return err
		}
		naming, err := tx.ActivitiesNamingMessage(ctx, "one@x.example")
		if !slices.Equal(naming, []string{a.ID}) {
			t.Errorf("naming it are %v", naming)
		}
		if err != nil {
			return err
		}
		return tx.ForgetMessageID(ctx, "one@x.example", "")
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		refs, err := tx.MessageRefs(ctx, store.RefQuery{IDs: []string{"one@x.example", "two@x.example"}})
		if len(refs) != 1 || refs[0].ActivityID != a.ID || refs[0].MessageID != "one@x.example" {
			t.Errorf("refs %+v", refs)
		}
		return err
	})
}

func testDeleteBlobs(t *testing.T, open Open) {
	db := one(t, open)
	blob := func(text string) string {
		b, err := db.Stage(t.Context(), []byte(text))
		must(t, err)
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddBlob(ctx, b) })
		return b.Hash
	}
	raw, file, waiting, upload, free := blob("raw"), blob("file"), blob("waiting"), blob("upload"), blob("free")
	number := addTicket(t, db, nil).Number
	a := addActivity(t, db, number, func(a *store.Activity) { a.RawHash = raw })
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddAttachments(ctx, []store.Attachment{{ID: "f", ActivityID: a.ID, Ticket: number, Hash: file}}); err != nil {
			return err
		}
		if err := tx.InsertQuarantined(ctx, store.Quarantined{ID: "q", RawHash: waiting}); err != nil {
			return err
		}
		return tx.AddUpload(ctx, store.Upload{ID: "u", Hash: upload})
	})
	remove := func() (gone []string) {
		update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
			gone, _, err = tx.DeleteBlobs(ctx, []string{raw, file, waiting, upload, free, "none"})
			return err
		})
		return gone
	}
	if gone := remove(); !slices.Equal(gone, []string{free}) {
		t.Errorf("gone are %v, want %v alone", gone, free)
	}
	_, err := db.Blob(t.Context(), free)
	wantCode(t, err, store.CodeNotFound, "")
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		files, err := tx.DeleteAttachments(ctx, a)
		if len(files) != 1 || files[0].Hash != file {
			t.Errorf("files %+v", files)
		}
		return err
	})
	if gone := remove(); !slices.Equal(gone, []string{file}) {
		t.Errorf("then %v, want %v", gone, file)
	}
	must(t, db.Scrub(t.Context()))
}

// A large blob goes from its own place as well, at once.
func testDeleteLargeBlob(t *testing.T, open Open) {
	place, err := blob.Open("file:" + t.TempDir())
	must(t, err)
	db := open(t, store.Options{Blobs: place})()
	noise := make([]byte, 300<<10)
	rand.NewChaCha8([32]byte{2}).Read(noise)
	b, err := db.Stage(t.Context(), noise)
	must(t, err)
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddBlob(ctx, b) })
	must(t, db.DropFile(t.Context(), b.Hash)) // it has its row still
	if has, err := place.Has(t.Context(), b.Hash); !has || err != nil {
		t.Fatalf("a blob with a row is there: %v, %v", has, err)
	}
	var files []string
	update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		_, files, err = tx.DeleteBlobs(ctx, []string{b.Hash})
		return err
	})
	if !slices.Equal(files, []string{b.Hash}) {
		t.Fatalf("outside lie %v", files)
	}
	must(t, db.DropFile(t.Context(), b.Hash))
	if has, err := place.Has(t.Context(), b.Hash); has || err != nil {
		t.Errorf("it is there still: %v, %v", has, err)
	}
}
