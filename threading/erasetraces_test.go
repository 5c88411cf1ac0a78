package threading

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

// Whose address only ends like the person's is somebody else: his mail stays, and
// is not handed out as hers.
func TestEraseIsNotOfANamesake(t *testing.T) {
	d := newDesk(t)
	d.deliver(letter{from: "Ann <ann@erased.example>", subject: "Mine", body: "mine"})
	for _, from := range []string{"ann@erased.example", "ann+shop@erased.example", "joann@erased.example", "ann@erased.example.org"} {
		d.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.InsertQuarantined(ctx, store.Quarantined{ID: store.NewID(), Reason: "hops", EnvelopeFrom: from,
				From: []store.Address{{Address: from}}, Subject: from, CreatedAt: d.now})
		})
	}
	id := d.contactAt("ann@erased.example").ID
	var told []string
	err := d.AboutContact(d.ctx, id, func(about AboutContact) error {
		for _, q := range about.Quarantined {
			told = append(told, q.Subject)
		}
		return nil
	})
	if got := strings.Join(told, " "); err != nil || got != "ann@erased.example ann+shop@erased.example" {
		t.Errorf("hers is said to be %q, %v", got, err)
	}
	e, err := d.EraseContact(d.ctx, d.admin, id)
	if err != nil || e.Quarantined != 2 {
		t.Errorf("%d are gone, %v", e.Quarantined, err)
	}
	d.view(func(ctx context.Context, tx *store.Tx) error {
		left, _, err := tx.QuarantinedList(ctx, "", 50)
		if len(left) != 2 || left[0].EnvelopeFrom != "ann@erased.example.org" || left[1].EnvelopeFrom != "joann@erased.example" {
			t.Errorf("left are %+v", left)
		}
		return err
	})
}

// What is kept beside tickets and names her goes as well: who tried to log in by
// her address, how often she opened tickets, drafts of what was never sent.
func TestEraseBesideTickets(t *testing.T) {
	d := newDesk(t)
	c := d.carla()
	detailed := strings.Replace(carlas, "@", "+shop@", 1)
	d.deliver(letter{from: carlaName + " <" + detailed + ">", subject: "By another address", id: "third@erased.example", body: secret})
	d.update(func(ctx context.Context, tx *store.Tx) error {
		for _, key := range []string{carlas, detailed, "other@third.example"} {
			if _, err := tx.TakeAttempt(ctx, "log-in|account|"+key, d.now, store.Allowance{Burst: 10, Interval: time.Hour}); err != nil {
				return err
			}
			if err := tx.AddAudit(ctx, store.Audit{ID: store.NewID(), At: d.now, Action: store.AuditLoginFailed, AuditDetail: store.AuditDetail{Email: key}}); err != nil {
				return err
			}
		}
		for _, doc := range []string{
			`{"kind": "enquiry", "subject": "` + carlaName + `", "contact": {"name": "` + carlaName + `", "email": "` + carlas + `", "phone": "0171 9988776"}}`,
			`{"kind": "enquiry", "subject": "Ms Kundewitz called", "contact_id": "` + c.ID + `"}`,
			`{"kind": "internal", "subject": "Somebody else", "text": "nothing of her"}`,
		} {
			if err := tx.PutDraft(ctx, store.Draft{ID: store.NewID(), AgentID: d.anna.ID, Doc: doc, CreatedAt: d.now, UpdatedAt: d.now}); err != nil {
				return err
			}
		}
		return nil
	})
	d.answers()
	// tickets of others whose only trace of her stands in none of their activities
	for _, n := range []NewTicket{
		{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "one", Text: "one", Tags: []string{carlas}},
		{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "two", Text: "ask " + detailed},
		{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "three", Text: "three", Attachments: []File{{Name: carlas + ".txt", Content: []byte("x")}}},
	} {
		if _, err := d.CreateTicket(d.ctx, d.anna, n); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.EraseContact(d.ctx, d.admin, c.ID); err != nil {
		t.Fatal(err)
	}
	for path, data := range d.files() {
		if all := found(data); len(all) > 0 {
			t.Errorf("%s still holds %v", path, all)
		}
	}
	d.view(func(ctx context.Context, tx *store.Tx) error {
		for key, stays := range map[string]bool{"import": false, "0": true, "1": false, "2": false} { // drafts: the newest first
			path := map[bool]string{true: "/api/v1/contacts/import", false: "/api/v1/tickets"}[key == "import"]
			if _, kept, err := tx.Idempotent(ctx, d.anna.ID, path, key); kept != stays || err != nil {
				t.Errorf("the answer %s is kept: %v, %v", key, kept, err)
			}
		}
		drafts, _, err := tx.Drafts(ctx, d.anna.ID, "", 50)
		if len(drafts) != 3 || !strings.Contains(drafts[0].Doc, "nothing of her") {
			t.Errorf("drafts: %+v", drafts)
		}
		lines, _, err2 := tx.AuditLog(ctx, store.AuditFilter{Action: store.AuditLoginFailed})
		if len(lines) != 3 || lines[0].Email != "other@third.example" || lines[1].Email != erasedMark {
			t.Errorf("the audit log: %+v %v", lines, err2)
		}
		return err
	})
}

// answers keeps what POSTs of drafts and of an import were answered.
func (d *desk) answers() {
	d.update(func(ctx context.Context, tx *store.Tx) error {
		drafts, _, err := tx.Drafts(ctx, d.anna.ID, "", 50)
		if err != nil {
			return err
		}
		kept := []store.Answered{{Key: "import", Path: "/api/v1/contacts/import"}}
		for i, draft := range drafts {
			kept = append(kept, store.Answered{Key: strconv.Itoa(i), Path: "/api/v1/tickets", Location: "/api/v1/drafts/" + draft.ID})
		}
		for _, a := range kept {
			a.Caller, a.Status, a.Response, a.At = d.anna.ID, 201, "sealed", d.now
			if err := tx.PutIdempotent(ctx, a); err != nil {
				return err
			}
		}
		return nil
	})
}
