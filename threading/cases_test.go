package threading

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

// T02: a mail from a domain that refuses what is not aligned changes nothing,
// shows nothing in the portal, gets nothing back.
func TestT02AFailedMailChangesNothing(t *testing.T) {
	d := newDesk(t)
	d.setChannel(ack)
	r := d.open()
	d.close(r.Ticket)
	fresh := d.deliver(letter{from: "carla@ext.example", subject: "new", verdict: store.Failed})
	held := d.deliver(letter{from: "carla@ext.example", subject: "[T#10001] please", verdict: store.Failed})
	answer := d.activities(r.Ticket)
	if held.Outcome != OutcomeHold || len(answer) != 2 || d.status(r.Ticket) != statusClosed {
		t.Errorf("held %+v, %d activities, %s", held, len(answer), d.status(r.Ticket))
	}
	for _, number := range []int64{fresh.Ticket, held.Ticket} {
		if acks, _ := d.deliveries(number, store.MailAck); len(acks) != 0 || d.last(number).External {
			t.Errorf("ticket %d: %d acknowledgements, shown %v", number, len(acks), d.last(number).External)
		}
	}
}

// T04: a token in another's hand brings the mail in, marked, and its sender
// nowhere else.
func TestT04ATokenInAnothersHand(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.answer(r.Ticket, "hello")
	_, mails := d.deliveries(r.Ticket, store.MailAnswer)
	got := d.deliver(letter{from: "dave@other.example", subject: "hi", to: []string{mails[0].ReplyTo}, header: "Cc: evil@other.example\r\n", verdict: store.Verified})
	a := d.last(r.Ticket)
	if got.Ticket != r.Ticket || a.Sender != store.SenderStranger || a.External {
		t.Fatalf("%+v", a)
	}
	view, err := d.Ticket(d.ctx, d.anna, r.Ticket)
	if err != nil || slices.ContainsFunc(view.Participants, func(p store.Participant) bool { return strings.HasSuffix(p.Key, "@other.example") }) {
		t.Errorf("participants %+v, %v", view.Participants, err)
	}
	next := d.answer(r.Ticket, "on we go")
	if len(next.To) != 1 || next.To[0].Address != "carla@ext.example" || len(next.Cc) != 0 {
		t.Errorf("the next answer goes to %+v, %+v", next.To, next.Cc)
	}
}

// T06: what a mail brings in its Cc gets nothing by itself.
func TestT06ACcNeverBecomesARecipient(t *testing.T) {
	d := newDesk(t)
	d.setChannel(ack)
	r := d.deliver(letter{from: "carla@ext.example", subject: "Printer", header: "Cc: Eve <evil@evil.example>\r\n", verdict: store.Verified})
	acks, _ := d.deliveries(r.Ticket, store.MailAck)
	if len(acks) != 1 || acks[0].Recipient != "carla@ext.example" {
		t.Errorf("acknowledgements %+v", acks)
	}
	if a := d.answer(r.Ticket, "hello"); len(a.To) != 1 || len(a.Cc) != 0 {
		t.Errorf("the answer goes to %+v, %+v", a.To, a.Cc)
	}
	// until an agent switches it on, for the next answer
	on := []ParticipantPatch{{Address: "EVIL@evil.example", Active: true}}
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{Participants: on}); err != nil {
		t.Fatal(err)
	}
	if a := d.answer(r.Ticket, "hello"); len(a.Cc) != 1 || a.Cc[0] != (store.Address{Name: "Eve", Address: "evil@evil.example"}) {
		t.Errorf("with Eve switched on it goes to %+v, %+v", a.To, a.Cc)
	}
	on[0].Active = false
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{Participants: on}); err != nil {
		t.Fatal(err)
	}
	if a := d.answer(r.Ticket, "hello"); len(a.Cc) != 0 {
		t.Errorf("with Eve switched off it goes to %+v", a.Cc)
	}
}

func TestParticipantsArePatched(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	version := d.ticket(r.Ticket).Version
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{Participants: []ParticipantPatch{{Address: "bob@partner.example", Name: "Bob", Active: true}}}); err != nil {
		t.Fatal(err)
	}
	view, err := d.Ticket(d.ctx, d.anna, r.Ticket)
	if err != nil || len(view.Participants) != 2 || view.Version != version+1 {
		t.Fatalf("%+v, version %d, %v", view.Participants, view.Version, err)
	}
	change := d.last(r.Ticket).Changes
	if len(change) != 1 || change[0] != (store.Change{Field: "participant", To: "bob@partner.example: on"}) {
		t.Errorf("changes %+v", change)
	}
	if got := d.deliver(letter{from: "bob@partner.example", subject: "[T#10001] me too"}); got.Ticket != r.Ticket || d.last(r.Ticket).Sender != store.SenderParticipant {
		t.Errorf("whom an agent switched on writes: %+v", got)
	}
	// who switches the customer off writes to nobody but whom he names
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{Participants: []ParticipantPatch{{Address: "carla@ext.example"}}}); err != nil {
		t.Fatal(err)
	}
	if a := d.answer(r.Ticket, "hello"); a.To[0].Address != "bob@partner.example" || len(a.Cc) != 0 {
		t.Errorf("to %+v, cc %+v", a.To, a.Cc)
	}
	inner, err := d.CreateTicket(d.ctx, d.anna, NewTicket{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "Ours", Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ticket  int64
		address string
	}{"an internal ticket": {inner.Number, "bob@partner.example"}, "our own address": {r.Ticket, "support+x@test.example"}, "no address": {r.Ticket, "bob"}} {
		_, err := d.PatchTicket(d.ctx, d.anna, c.ticket, TicketPatch{Participants: []ParticipantPatch{{Address: c.address, Active: true}}})
		if store.CodeOf(err) != store.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An answer to the colleague goes to the customer as well, who is switched on;
// one with recipients of its own goes to them alone.
func TestTheAnswerGoesToAllWhoAreOn(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.answer(r.Ticket, "hello")
	d.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.AddParticipants(ctx, []store.Participant{{Ticket: r.Ticket, Key: "bob@ext.example", Address: "bob@ext.example", Trusted: true}})
	})
	d.deliver(letter{from: "bob@ext.example", subject: "[T#10001] from me"})
	if a := d.answer(r.Ticket, "hello"); a.To[0].Address != "bob@ext.example" || len(a.Cc) != 1 || a.Cc[0].Address != "carla@ext.example" {
		t.Errorf("to %+v, cc %+v", a.To, a.Cc)
	}
	a, err := d.AddActivity(d.ctx, d.anna, r.Ticket, NewActivity{Type: store.TypeOutgoing, Text: "x", To: []string{"bob@ext.example"}})
	if err != nil || len(a.Cc) != 0 {
		t.Errorf("with a To of its own: cc %+v, %v", a.Cc, err)
	}
}

// T11: of several tags the first that the sender may use counts; a tag in the
// text counts where the channel says so, one in a file never.
func TestT11SeveralTags(t *testing.T) {
	d := newDesk(t)
	mine := d.open()
	theirs := d.deliver(letter{from: "dave@other.example", subject: "Door"})
	for _, c := range []struct {
		name string
		l    letter
		want int64
	}{
		{"a foreign one first", letter{subject: "[T#10002] [T#10001]"}, mine.Ticket},
		{"a foreign one last", letter{subject: "[T#10001] [T#10002]"}, mine.Ticket},
		{"one in the text", letter{subject: "hello", body: "[T#10001]"}, 0},
		{"one in a file", letter{
			subject: "hello", header: "Content-Type: multipart/mixed; boundary=b\r\n",
			body: "--b\r\n\r\nsee there\r\n--b\r\nContent-Disposition: attachment; filename=\"[T#10001].txt\"\r\n\r\n[T#10001]\r\n--b--",
		}, 0},
	} {
		c.l.from = "carla@ext.example"
		got := d.deliver(c.l)
		if c.want != 0 && got.Ticket != c.want || c.want == 0 && got.Outcome != OutcomeNew {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if got := d.deliver(letter{from: "mallory@evil.example", subject: "[T#10001] [T#10002]"}); got.Outcome != OutcomeHold {
		t.Errorf("a stranger's: %+v, %d", got, theirs.Ticket)
	}
	d.setChannel(func(c *store.Channel) { c.TagInText = true })
	if got := d.deliver(letter{from: "carla@ext.example", subject: "hello", body: "about [T#10001]"}); got.Ticket != mine.Ticket {
		t.Errorf("in the text, where it counts: %+v", got)
	}
}

// T12: a closed ticket opens again, a merged one leads on, through any number
// of hops, and for nobody who may not.
func TestT12ClosedAndMerged(t *testing.T) {
	d := newDesk(t)
	first := d.open()
	into := first.Ticket
	for range 60 {
		next := d.open().Ticket
		if _, err := d.Merge(d.ctx, d.admin, into, next); err != nil {
			t.Fatal(err)
		}
		into = next
	}
	d.close(into)
	if got := d.deliver(letter{from: "mallory@evil.example", subject: "[T#10001]"}); got.Outcome != OutcomeHold || d.status(into) != statusClosed {
		t.Errorf("a stranger: %+v, %s", got, d.status(into))
	}
	if got := d.deliver(letter{from: "carla@ext.example", subject: "[T#10001]"}); got.Ticket != into || d.status(into) != statusInProgress {
		t.Errorf("the customer: %+v, want %d; %s", got, into, d.status(into))
	}
	never := 0
	d.setChannel(func(c *store.Channel) { c.ReopenDays = &never })
	d.close(into)
	got := d.deliver(letter{from: "carla@ext.example", subject: "[T#10001]"})
	view, err := d.Ticket(d.ctx, d.anna, got.Ticket)
	if err != nil || got.Outcome != OutcomeNew || !slices.Contains(view.Links, store.Link{Ticket: got.Ticket, Number: into, Kind: store.LinkFollows}) {
		t.Errorf("never reopened: %+v, %+v, %v", got, view.Links, err)
	}
}

// A ring of merged tickets, which nothing makes, ends where it began.
func TestARingOfMergesEnds(t *testing.T) {
	d := newDesk(t)
	a, b := d.open(), d.open()
	d.update(func(ctx context.Context, tx *store.Tx) error {
		for number, into := range map[int64]int64{a.Ticket: b.Ticket, b.Ticket: a.Ticket} {
			ticket, err := tx.Ticket(ctx, number)
			if err != nil {
				return err
			}
			ticket.MergedInto = into
			if err := tx.UpdateTicket(ctx, ticket); err != nil {
				return err
			}
		}
		return nil
	})
	if got := d.deliver(letter{from: "carla@ext.example", subject: "[T#10001]"}); got.Err != nil {
		t.Error(got.Err)
	}
}

// T25: two desks that answer each other, whose mail says nowhere that a
// machine wrote it, stop by themselves.
func TestT25TwoDesksAnsweringEachOther(t *testing.T) {
	desks := []*desk{newDesk(t), newDesk(t)}
	seen := []int{0, 0}
	for _, d := range desks {
		d.setChannel(ack)
	}
	acks := func(i int) []store.Mail {
		var all []store.Mail
		for number := int64(10001); number < 10010; number++ {
			_, mails := desks[i].deliveries(number, store.MailAck)
			all = append(all, mails...)
		}
		return all
	}
	// both have the same address, as each other sees it
	desks[0].deliver(letter{from: "desk@other.example", subject: "hello", verdict: store.Verified})
	for round := range 20 {
		from, to := round%2, (round+1)%2
		made := acks(from)
		if len(made) == seen[from] {
			break
		}
		seen[from] = len(made)
		m := made[len(made)-1]
		desks[to].deliver(letter{from: "desk@other.example", subject: m.Subject, body: m.Text, id: m.MessageID, header: "In-Reply-To: <" + m.InReplyTo + ">\r\n", verdict: store.Verified})
	}
	if sent := len(acks(0)) + len(acks(1)); sent == 0 || sent > 2 {
		t.Errorf("%d acknowledgements went out, want one or two", sent)
	}
}

// T27: who writes in the name of others gets nothing sent to them.
func TestT27VictimsGetNothing(t *testing.T) {
	d := newDesk(t)
	d.setChannel(ack)
	for i := range 200 {
		verdict := store.Unverified
		if i%2 == 0 {
			verdict = store.Failed
		}
		r := d.deliver(letter{from: fmt.Sprintf("victim%d@v%d.example", i, i), subject: "BUY", body: "BUY", verdict: verdict, envelope: ""})
		if acks, _ := d.deliveries(r.Ticket, store.MailAck); len(acks) != 0 {
			t.Fatalf("victim %d gets %+v", i, acks)
		}
	}
}

// K12: what the signature does not cover gives no right that rests on it.
func TestK12FieldsThatAreNotSigned(t *testing.T) {
	only := func(covered ...string) func(string) bool {
		return func(field string) bool { return slices.Contains(covered, field) }
	}
	d := newDesk(t)
	r := d.deliver(letter{from: "carla@ext.example", subject: "Printer", id: "first@ext.example", verdict: store.Verified})
	for name, c := range map[string]struct {
		l      letter
		trusts func(string) bool
		want   Outcome
	}{
		"K12 the tag, signed":             {letter{subject: "[T#10001]"}, only("subject"), OutcomeAppend},
		"K12 the tag, not signed":         {letter{subject: "[T#10001]"}, only("from"), OutcomeHold},
		"K12 In-Reply-To, signed":         {letter{subject: "x", header: "In-Reply-To: <first@ext.example>\r\n"}, only("in-reply-to"), OutcomeAppend},
		"K12 In-Reply-To, not signed":     {letter{subject: "x", header: "In-Reply-To: <first@ext.example>\r\n"}, only("references"), OutcomeHold},
		"K12 in both, one of them signed": {letter{subject: "x", header: "In-Reply-To: <first@ext.example>\r\nReferences: <first@ext.example>\r\n"}, only("references"), OutcomeAppend},
	} {
		t.Run(name, func(t *testing.T) {
			c.l.from, c.l.verdict = "carla@ext.example", store.Verified
			in := d.incoming(c.l)
			in.Trusts = c.trusts
			if got := d.take(in)[0]; got.Outcome != c.want {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("K12 Reply-To and Cc, not signed", func(t *testing.T) {
		in := d.incoming(letter{from: "carla@ext.example", subject: "[T#10001]", header: "Reply-To: other@ext.example\r\nCc: bob@ext.example\r\n", verdict: store.Verified})
		in.Trusts = only("subject")
		d.take(in)
		if a := d.answer(r.Ticket, "hello"); a.To[0].Address != "carla@ext.example" {
			t.Errorf("the answer goes to %+v", a.To)
		}
		if got := d.deliver(letter{from: "bob@ext.example", subject: "[T#10001]"}); got.Outcome != OutcomeHold {
			t.Errorf("who stood in the Cc writes: %+v", got)
		}
	})
	t.Run("K12 a replayed mail of an agent", func(t *testing.T) {
		m := d.notified(r.Ticket, d.anna)
		l := reply("anna@test.example", m, "Use water.")
		l.subject = "Lunch" // signed when she wrote it to somebody else; In-Reply-To was added
		in := d.incoming(l)
		in.Trusts = only("from", "to", "subject")
		before, _ := d.deliveries(r.Ticket, store.MailAnswer)
		d.take(in)
		if after, _ := d.deliveries(r.Ticket, store.MailAnswer); len(after) != len(before) {
			t.Error("it was sent on")
		}
	})
}

func TestNewSubject(t *testing.T) {
	d := newDesk(t)
	d.setChannel(func(c *store.Channel) { c.NewSubject = store.NewSubjectSuggest })
	r := d.open()
	d.answer(r.Ticket, "hello")
	_, mails := d.deliveries(r.Ticket, store.MailAnswer)
	header := "In-Reply-To: <" + mails[0].MessageID + ">\r\n"
	for name, c := range map[string]struct {
		subject, header string
		want            Outcome
	}{
		"another subject":             {"The door", header, OutcomeHold},
		"another one, to the token":   {"Re: The door", "", OutcomeHold},
		"the ticket's":                {"AW: printer", header, OutcomeAppend},
		"another one with the tag":    {"Re: [T#10001] The door", header, OutcomeAppend},
		"none":                        {"", header, OutcomeAppend},
		"an automatic answer's":       {"Out of office", header + "Auto-Submitted: auto-replied\r\n", OutcomeAppend},
		"the answer's, with its tag":  {mails[0].Subject, header, OutcomeAppend},
		"another one, in their words": {"Re: Re: WG: The  door", header, OutcomeHold},
	} {
		t.Run(name, func(t *testing.T) {
			l := letter{from: "carla@ext.example", subject: c.subject, header: c.header}
			if c.header == "" {
				l.to = []string{mails[0].ReplyTo}
			}
			got := d.deliver(l)
			if got.Outcome != c.want {
				t.Fatalf("%+v", got)
			}
			if told := d.notified(r.Ticket, d.anna).Text; c.want == OutcomeHold && !strings.Contains(told, "T#10001: mail with another subject waits for this ticket") {
				t.Errorf("told is %q", told)
			}
			if c.want == OutcomeHold && (d.ticket(got.Ticket).SuggestedTicket != r.Ticket || d.last(got.Ticket).Sender != store.SenderParticipant) {
				t.Errorf("%+v", d.ticket(got.Ticket))
			}
		})
	}
}

// One mail to two accounts is two tickets, and one acknowledgement; each is
// answered, and the customer's reply to all comes in once, in however many
// transactions the MTA hands it over, also by an alias.
func TestAReplyToAllComesInOnce(t *testing.T) {
	d := newDesk(t)
	d.setChannel(ack)
	sales := d.secondAccount("sales")
	sales.Aliases, sales.AliasKeys = []string{"shop@test.example"}, []string{"shop@test.example"}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, sales) })
	both := []string{"support@test.example", "sales@test.example"}
	opened := d.take(d.incoming(letter{from: "carla@ext.example", subject: "Both", to: both, verdict: store.Verified}))
	acks := 0
	var tokens []string
	for _, r := range opened {
		list, _ := d.deliveries(r.Ticket, store.MailAck)
		acks += len(list)
		d.answer(r.Ticket, "hello")
		_, mails := d.deliveries(r.Ticket, store.MailAnswer)
		tokens = append(tokens, mails[0].ReplyTo)
	}
	if opened[0].Ticket == opened[1].Ticket || acks != 1 {
		t.Fatalf("%+v, %d acknowledgements", opened, acks)
	}
	reply := letter{from: "carla@ext.example", subject: "Re: Both", to: append(tokens, "shop@test.example", "SHOP@test.example"), verdict: store.Verified}
	in := d.incoming(reply)
	first := d.take(in)
	in.Recipients = []string{"sales@test.example"}
	second := d.take(in)
	activities := map[string]bool{}
	for _, r := range append(first, second...) {
		activities[r.ActivityID] = true
	}
	if len(activities) != 1 || len(d.said(opened[0].Ticket))+len(d.said(opened[1].Ticket)) != 3 {
		t.Errorf("it came in as %v", activities)
	}
}

// K08: what waited only because DNS failed is let in once the verdict is there.
func TestK08WhatWaitedForDNSIsLetIn(t *testing.T) {
	for name, c := range map[string]struct {
		verdict store.Verdict
		worked  bool
		want    bool
	}{
		"verified":                    {store.Verified, false, true},
		"unverified":                  {store.Unverified, false, true},
		"failed":                      {store.Failed, false, false},
		"an agent answered meanwhile": {store.Verified, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			r := d.open()
			d.close(r.Ticket)
			in := d.incoming(letter{from: "carla@ext.example", subject: "[T#10001] again", header: "Cc: bob@partner.example\r\n", verdict: store.AuthError})
			held := d.take(in)[0]
			if held.Outcome != OutcomeHold {
				t.Fatalf("%+v", held)
			}
			if c.worked {
				d.answer(held.Ticket, "Who are you?")
			}
			d.now = d.now.Add(time.Minute)
			in.Auth = store.Auth{Verdict: c.verdict}
			if err := d.Rechecked(d.ctx, store.Recheck{ID: held.ActivityID}, in); err != nil {
				t.Fatal(err)
			}
			said := d.said(r.Ticket)
			if got := len(said) == 2; got != c.want {
				t.Fatalf("%d mails in the ticket", len(said))
			}
			if !c.want {
				return
			}
			a := said[1]
			if a.Sender != store.SenderParticipant || !a.External || a.Auth.Verdict != c.verdict || d.status(r.Ticket) != statusInProgress || d.ticket(held.Ticket).MergedInto != r.Ticket {
				t.Errorf("%+v, %s", a, d.status(r.Ticket))
			}
			if more := d.deliver(letter{from: "bob@partner.example", subject: "[T#10001] me too"}); more.Ticket != r.Ticket {
				t.Errorf("who stood in its Cc: %+v", more)
			}
		})
	}
}

// A confirmation is undone by moving the mail back.
func TestAConfirmationIsUndone(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	held := d.deliver(letter{from: "dave@other.example", subject: "[T#10001] hello"})
	if _, err := d.Confirm(d.ctx, d.anna, held.Ticket, ""); err != nil {
		t.Fatal(err)
	}
	d.move(r.Ticket, held.ActivityID, held.Ticket)
	view, err := d.Ticket(d.ctx, d.anna, held.Ticket)
	if err != nil || view.MergedInto != 0 || view.SuggestedTicket != 0 || len(view.Links) != 0 || len(d.said(held.Ticket)) != 1 || len(d.said(r.Ticket)) != 1 {
		t.Errorf("%+v, %v", view, err)
	}
}

func TestADismissedMailSuggestsNothing(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	held := d.deliver(letter{from: "dave@other.example", subject: "[T#10001] hello"})
	if _, err := d.Dismiss(d.ctx, d.anna, held.Ticket); err != nil {
		t.Fatal(err)
	}
	for _, number := range []int64{r.Ticket, held.Ticket} {
		if view, err := d.Ticket(d.ctx, d.anna, number); err != nil || len(view.Links) != 0 || len(view.Held) != 0 {
			t.Errorf("%d: %+v, %v", number, view.Links, err)
		}
	}
}

// A mail that says by its tag where it belongs puts no tickets together.
func TestATagJoinsNothing(t *testing.T) {
	d := newDesk(t)
	a := d.deliver(letter{from: "carla@ext.example", subject: "Printer", id: "a@ext.example"})
	b := d.deliver(letter{from: "carla@ext.example", subject: "Door"})
	got := d.deliver(letter{from: "carla@ext.example", subject: fmt.Sprintf("[T#%d] Door", b.Ticket), header: "In-Reply-To: <a@ext.example>\r\n"})
	if got.Ticket != b.Ticket || d.ticket(a.Ticket).MergedInto != 0 {
		t.Errorf("%+v, %+v", got, d.ticket(a.Ticket))
	}
}

// T07: a Reply-To is used where it stays in the domain and the mail may be
// believed; the author gets no copy beside it.
func TestT07ReplyTo(t *testing.T) {
	for name, c := range map[string]struct {
		header  string
		verdict store.Verdict
		want    string
		differs bool
	}{
		"T07 none":           {"", store.Verified, "carla@ext.example", false},
		"T07 same domain":    {"Reply-To: office@ext.example\r\n", store.Verified, "office@ext.example", false},
		"T07 another domain": {"Reply-To: eve@evil.example\r\n", store.Verified, "carla@ext.example", true},
		"T07 failed":         {"Reply-To: office@ext.example\r\n", store.Failed, "carla@ext.example", true},
		"T07 error":          {"Reply-To: office@ext.example\r\n", store.AuthError, "carla@ext.example", true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			r := d.deliver(letter{from: "carla@ext.example", subject: "x", header: c.header, verdict: c.verdict})
			if got := d.last(r.Ticket).ReplyDiffers; got != c.differs {
				t.Errorf("differs: %v", got)
			}
			if a := d.answer(r.Ticket, "hello"); len(a.To) != 1 || a.To[0].Address != c.want || len(a.Cc) != 0 {
				t.Errorf("to %+v, cc %+v", a.To, a.Cc)
			}
		})
	}
}
