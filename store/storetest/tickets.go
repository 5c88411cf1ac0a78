package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"ticketgate/store"
)

func testTickets(t *testing.T, open Open) {
	db := one(t, open)
	full := addTicket(t, db, func(ticket *store.Ticket) {
		ticket.Kind, ticket.Subject, ticket.Priority = store.KindEnquiry, "Größe ✓", store.PriorityUrgent
		ticket.MarkerID, ticket.ContactID, ticket.CompanyID = "m", "c", "f"
		ticket.OwnerID, ticket.ResponsibleID, ticket.CreatedBy = "anna", "otto", "root"
		ticket.AccountID, ticket.MergedInto, ticket.SuggestedTicket = "mail", 5, 6
		ticket.Tags = []string{"a", "b"}
		ticket.LastIncomingAt, ticket.LastOutgoingAt, ticket.ClosedAt, ticket.StatusAt = noon(1), noon(2), noon(3), noon(4)
	})
	if full.Number != 10001 {
		t.Errorf("the first number is %d", full.Number)
	}
	plain := addTicket(t, db, nil)
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, want := range []store.Ticket{full, plain} {
			if got, err := tx.Ticket(ctx, want.Number); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("ticket\n%+v, %v; want\n%+v", got, err, want)
			}
		}
		_, err := tx.Ticket(ctx, 4711)
		wantCode(t, err, store.CodeNotFound, "")
		return nil
	})
	// The counts are not the caller's: a stale copy does no harm.
	addActivity(t, db, plain.Number, nil)
	plain.Subject, plain.Version, plain.UpdatedAt, plain.StatusID, plain.ClosedAt = "Other", 2, noon(0), "done", noon(9)
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.UpdateTicket(ctx, plain) })
	plain.Activities, plain.UpdatedAt = 1, noon(1)
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Ticket(ctx, plain.Number)
		if !reflect.DeepEqual(got, plain) {
			t.Errorf("ticket\n%+v, want\n%+v", got, plain)
		}
		return err
	})
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.UpdateTicket(ctx, store.Ticket{Number: 4711})
	}), store.CodeNotFound, "")
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for range 2 {
			if err := tx.AddLink(ctx, full.Number, plain.Number, store.LinkFollows, store.LinkFollowed); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, want := range []store.Link{
			{Ticket: full.Number, Number: plain.Number, Kind: store.LinkFollows},
			{Ticket: plain.Number, Number: full.Number, Kind: store.LinkFollowed},
		} {
			if got, err := tx.Links(ctx, want.Ticket); err != nil || len(got) != 1 || got[0] != want {
				t.Errorf("links %+v, %v", got, err)
			}
		}
		both, err := tx.LinksOf(ctx, full.Number, plain.Number, 99999)
		if len(both) != 2 || both[0].Ticket == both[1].Ticket || both[0].Number == both[1].Number {
			t.Errorf("links of both %+v", both)
		}
		none, err2 := tx.LinksOf(ctx)
		if len(none) != 0 || err2 != nil {
			t.Errorf("links of none %+v, %v", none, err2)
		}
		return err
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.DeleteLink(ctx, full.Number, plain.Number, store.LinkFollows, store.LinkFollowed); err != nil {
			return err
		}
		left, err := tx.Links(ctx, plain.Number)
		if len(left) != 0 {
			t.Errorf("links %+v", left)
		}
		return err
	})
}

func testParticipants(t *testing.T, open Open) {
	db := one(t, open)
	add := func(all ...store.Participant) {
		t.Helper()
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddParticipants(ctx, all) })
	}
	add(store.Participant{Ticket: 1, Key: "a@x", Address: "A@x", Active: true, Trusted: true},
		store.Participant{Ticket: 1, Key: "b@x", Address: "b@x", Name: "B"},
		store.Participant{Ticket: 2, Key: "a@x", Address: "a@x"})
	add(store.Participant{Ticket: 1, Key: "a@x", Address: "other", Name: "Anna"},
		store.Participant{Ticket: 1, Key: "b@x", Name: "Bert", Active: true, Trusted: true})
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.SetParticipantActive(ctx, 2, "a@x", true) })
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Participants(ctx, 1)
		want := []store.Participant{
			{Ticket: 1, Key: "a@x", Address: "A@x", Name: "Anna", Active: true, Trusted: true},
			{Ticket: 1, Key: "b@x", Address: "b@x", Name: "B", Trusted: true},
		}
		if !slices.Equal(got, want) {
			t.Errorf("participants %+v", got)
		}
		of, err3 := tx.ParticipantsOf(ctx, 1, 2, 3)
		if len(of) != 2 || !slices.Equal(of[1], want) || len(of[2]) != 1 || of[2][0].Ticket != 2 || err3 != nil {
			t.Errorf("participants by ticket %+v, %v", of, err3)
		}
		p, ok, err2 := tx.IsParticipant(ctx, 2, "a@x")
		if !ok || !p.Active || p.Trusted || err2 != nil {
			t.Errorf("participant %+v, %v, %v", p, ok, err2)
		}
		if _, ok, err := tx.IsParticipant(ctx, 2, "b@x"); ok || err != nil {
			t.Errorf("b@x belongs to ticket 2: %v", err)
		}
		return err
	})
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.SetParticipantActive(ctx, 3, "a@x", true)
	}), store.CodeNotFound, "")
}

func testActivities(t *testing.T, open Open) {
	db := one(t, open)
	ticket, other := addTicket(t, db, nil).Number, addTicket(t, db, nil).Number
	full := addActivity(t, db, ticket, func(a *store.Activity) {
		a.Type, a.Medium, a.Author = store.TypeOutgoing, store.MediumPhone, store.Author{Kind: store.AuthorAgent, ID: "anna"}
		a.CreatedBy, a.AccountID, a.Answers = "anna", "mail", "x"
		a.Subject, a.Text, a.HTML, a.ReplyText = "Größe", "text", "<p>", "reply"
		a.MessageID, a.RawHash, a.Sender, a.Automatic, a.External = "id@a", "hash", "", "list", true
		a.From = []store.Address{{Name: "N", Address: "a@b"}}
		a.Auth = &store.Auth{Verdict: store.Verified, DKIM: []store.DKIMResult{{Domain: "d"}}}
		a.Match = &store.Match{By: "token", Score: 3, Signals: []store.Signal{{Ticket: 7}}}
		a.Changes = []store.Change{{Field: "status", From: "a", To: "b"}}
	})
	in := addActivity(t, db, ticket, func(a *store.Activity) { a.MessageID = "two@a" })
	addActivity(t, db, ticket, func(a *store.Activity) { a.Sender = store.SenderStranger; a.MessageID = "three@a" })
	addActivity(t, db, ticket, func(a *store.Activity) { a.Automatic = "auto_reply"; a.MessageID = "four@a"; a.CreatedAt = noon(30) })
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		if got, err := tx.Activity(ctx, full.ID); err != nil || !reflect.DeepEqual(got, full) {
			t.Errorf("activity\n%+v, %v; want\n%+v", got, err, full)
		}
		_, err := tx.Activity(ctx, "none")
		wantCode(t, err, store.CodeNotFound, "")
		if last, err := tx.LastIncoming(ctx, ticket); err != nil || last.ID != in.ID {
			t.Errorf("last incoming %+v, %v", last, err)
		}
		_, err = tx.LastIncoming(ctx, other)
		wantCode(t, err, store.CodeNotFound, "")
		var seqs []int
		next := ""
		for page := 0; page == 0 || next != ""; page++ {
			var all []store.Activity
			if all, next, err = tx.Activities(ctx, ticket, next, 3); err != nil {
				return err
			}
			for _, a := range all {
				seqs = append(seqs, a.Seq)
			}
		}
		if !slices.Equal(seqs, []int{1, 2, 3, 4}) {
			t.Errorf("sequence %v", seqs)
		}
		_, _, err = tx.Activities(ctx, ticket, "%%%", 3)
		wantCode(t, err, store.CodeInvalid, "")
		for limit, want := range map[int][]string{0: {"id@a", "two@a", "four@a"}, 2: {"id@a", "four@a"}} { // no stranger's
			var got []string
			thread, err := tx.Thread(ctx, ticket, limit)
			for _, id := range thread {
				got = append(got, id.MessageID)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("thread of %d: %v, %v", limit, got, err)
			}
		}
		counts, err := tx.ActivityCounts(ctx, ticket, other)
		if err != nil || counts[ticket] != 4 || counts[other] != 0 {
			t.Errorf("counts %v, %v", counts, err)
		}
		if now, err := tx.Ticket(ctx, ticket); err != nil || now.Activities != 4 || !now.UpdatedAt.Equal(noon(30)) {
			t.Errorf("ticket %+v, %v", now, err)
		}
		return nil
	})
	full.External, full.Text = false, "changed"
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.UpdateActivity(ctx, full) })
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Activity(ctx, full.ID)
		if !reflect.DeepEqual(got, full) {
			t.Errorf("activity %+v", got)
		}
		return err
	})
	err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertActivity(ctx, &store.Activity{ID: "x", Ticket: 4711})
	})
	wantCode(t, err, store.CodeNotFound, "")
}

func testAttachments(t *testing.T, open Open) {
	db := one(t, open)
	from, to := addTicket(t, db, nil).Number, addTicket(t, db, nil).Number
	a, b := addActivity(t, db, from, nil), addActivity(t, db, from, nil)
	first := store.Attachment{ID: "1", ActivityID: a.ID, Ticket: from, Position: 1, Name: "x.pdf", Type: "application/pdf", Size: 9, Hash: "h"}
	second := store.Attachment{ID: "2", ActivityID: a.ID, Ticket: from, Name: "y.png", Inline: true, ContentID: "c"}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddAttachments(ctx, []store.Attachment{first, second, {ID: "1", ActivityID: b.ID, Ticket: from}})
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Attachments(ctx, a.ID, b.ID, "none")
		if err != nil || !slices.Equal(all[a.ID], []store.Attachment{second, first}) || len(all[b.ID]) != 1 || len(all) != 2 {
			t.Errorf("attachments %+v, %v", all, err)
		}
		if got, err := tx.Attachment(ctx, a.ID, "1"); got != first || err != nil {
			t.Errorf("attachment %+v, %v", got, err)
		}
		_, err = tx.Attachment(ctx, a.ID, "3")
		wantCode(t, err, store.CodeNotFound, "")
		return nil
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		moved, err := tx.MoveActivity(ctx, a.ID, to, noon(40))
		if moved.Ticket != to || moved.Seq != 1 {
			t.Errorf("moved %+v", moved)
		}
		return err
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		both, err := tx.TicketsByNumber(ctx, []int64{from, to})
		if both[0].Files != 1 || both[1].Files != 2 || both[1].Activities != 1 {
			t.Errorf("tickets %+v", both)
		}
		got, err2 := tx.Attachment(ctx, a.ID, "1")
		if got.Ticket != to || err2 != nil {
			t.Errorf("attachment %+v, %v", got, err2)
		}
		return err
	})
	// The place of the one that went stays empty, so that no number comes twice.
	if next := addActivity(t, db, from, nil); next.Seq != 4 && next.Seq != 3 {
		t.Errorf("the next one's place is %d", next.Seq)
	}
}

// What tells whether an agent worked on a ticket, and whether anything is said
// in it.
func testWhatWasDone(t *testing.T, open Open) {
	db := one(t, open)
	for name, c := range map[string]struct {
		change       func(*store.Activity)
		worked, said bool
	}{
		"a mail":             {func(*store.Activity) {}, false, true},
		"an answer":          {func(a *store.Activity) { a.Type = store.TypeOutgoing }, true, true},
		"a note":             {func(a *store.Activity) { a.Type = store.TypeNote }, true, true},
		"a change":           {func(a *store.Activity) { a.Type, a.CreatedBy = store.TypeStatusChange, "anna" }, true, false},
		"a change by itself": {func(a *store.Activity) { a.Type = store.TypeStatusChange }, false, false},
		"a call, noted down": {func(a *store.Activity) { a.CreatedBy = "anna" }, true, true},
	} {
		ticket := addTicket(t, db, nil).Number
		addActivity(t, db, ticket, c.change)
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			worked, err := tx.WorkedOn(ctx, ticket)
			nothing, err2 := tx.NothingSaid(ctx, ticket)
			if err != nil || err2 != nil || worked != c.worked || nothing == c.said {
				t.Errorf("%s: worked on %v, nothing said %v, %v, %v", name, worked, nothing, err, err2)
			}
			return nil
		})
	}
	waiting, suggested := addTicket(t, db, nil).Number, addTicket(t, db, nil).Number
	for _, c := range []struct {
		was  int64
		want bool
	}{{0, true}, {0, false}, {suggested, true}, {99, false}} {
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Suggest(ctx, waiting, c.was, suggested)
			if got != c.want {
				t.Errorf("waited for %d: %v", c.was, got)
			}
			return err
		})
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Ticket(ctx, waiting)
		if got.SuggestedTicket != suggested {
			t.Errorf("it waits for %d", got.SuggestedTicket)
		}
		return err
	})
}

func testMessageRefs(t *testing.T, open Open) {
	db := one(t, open)
	from := addTicket(t, db, nil).Number
	to := addTicket(t, db, func(t *store.Ticket) { t.ContactID, t.CompanyID = "c", "f" }).Number
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddParticipants(ctx, []store.Participant{
			{Ticket: to, Key: "bob@x.example", Address: "bob@x.example", Trusted: true}, {Ticket: to, Key: "eve@x.example", Address: "eve@x.example"},
		})
	})
	a, b := addActivity(t, db, from, nil), addActivity(t, db, to, nil)
	long := string(make([]byte, 0, 998))
	for len(long) < 990 {
		long += "0123456789"
	}
	refs := []store.MessageRef{
		{MessageID: "own@a", ActivityID: a.ID, Kind: store.RefOwn},
		{MessageID: "own@a", ActivityID: b.ID, Kind: store.RefNamed},
		{MessageID: long, ActivityID: b.ID, Kind: store.RefTheirs},
	}
	for range 2 {
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddMessageRefs(ctx, refs) })
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.MoveActivity(ctx, a.ID, to, noon(2))
		return err
	})
	for i := range refs {
		refs[i].Ticket = to
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		for name, c := range map[string]struct {
			query store.RefQuery
			want  []store.MessageRef
		}{
			"nothing":                   {},
			"carried":                   {store.RefQuery{IDs: []string{"own@a", "Own@a", long}}, []store.MessageRef{refs[0], refs[2]}},
			"named, the mail itself":    {store.RefQuery{Own: "own@a"}, []store.MessageRef{refs[0], refs[1]}},
			"named, by his address":     {store.RefQuery{IDs: []string{"own@a"}, Key: "bob@x.example"}, []store.MessageRef{refs[0], refs[1]}},
			"named, by a mere Cc":       {store.RefQuery{IDs: []string{"own@a"}, Key: "eve@x.example"}, refs[:1]},
			"named, by his contact":     {store.RefQuery{IDs: []string{"own@a"}, ContactID: "c"}, refs[:2]},
			"named, by his company":     {store.RefQuery{IDs: []string{"own@a"}, CompanyID: "f"}, refs[:2]},
			"named, of somebody else":   {store.RefQuery{IDs: []string{"own@a"}, ContactID: "d", CompanyID: "g", Key: "dan@x.example"}, refs[:1]},
			"named, of nobody's ticket": {store.RefQuery{IDs: []string{long}}, refs[2:]},
		} {
			got, err := tx.MessageRefs(ctx, c.query)
			slices.SortFunc(got, func(a, b store.MessageRef) int { return slices.Index(refs, a) - slices.Index(refs, b) })
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		return nil
	})
}

// Very many name one id, as all readers of a newsletter do: the answer stays
// small, and the sender's own are in it.
func testMessageRefsOfANewsletter(t *testing.T, open Open) {
	db := one(t, open)
	for i := range 60 {
		ticket := addTicket(t, db, func(t *store.Ticket) { t.ContactID = fmt.Sprint("reader", i%2) })
		a := addActivity(t, db, ticket.Number, nil)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return tx.AddMessageRefs(ctx, []store.MessageRef{{MessageID: "news@list", ActivityID: a.ID, Kind: store.RefNamed}})
		})
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.MessageRefs(ctx, store.RefQuery{IDs: []string{"news@list"}, ContactID: "reader1"})
		if len(got) != 20 {
			t.Errorf("%d refs, want 20", len(got))
		}
		none, err2 := tx.MessageRefs(ctx, store.RefQuery{IDs: []string{"news@list"}, ContactID: "another"})
		if len(none) != 0 || err2 != nil {
			t.Errorf("of another reader: %+v, %v", none, err2)
		}
		return err
	})
}
