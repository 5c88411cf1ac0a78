package threading

import (
	"context"
	"slices"
	"strings"
	"testing"

	"ticketgate/store"
)

func TestAMailOpensATicket(t *testing.T) {
	d := newDesk(t)
	r := d.deliver(letter{from: "Carla <Carla@Ext.example>", subject: "=?utf-8?q?Drucker_kaputt=21?=", header: "Cc: boss@ext.example\r\n"})
	if r.Outcome != OutcomeNew || r.Ticket != 10001 {
		t.Fatalf("got %+v, want the new ticket 10001", r)
	}
	view, err := d.Ticket(d.ctx, d.anna, r.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	if view.Subject != "Drucker kaputt!" || view.Reference != "T#10001" || view.Kind != store.KindEmail || d.status(view.Number) != statusNew {
		t.Errorf("ticket %+v", view.Ticket)
	}
	if view.Contact == nil || !view.Contact.Provisional || view.Contact.Name != "Carla" {
		t.Errorf("contact %+v, want a provisional one", view.Contact)
	}
	a := d.activities(r.Ticket)[0]
	if a.Type != store.TypeIncoming || a.Author.Kind != store.AuthorContact || a.Author.ID != view.Contact.ID || a.Sender != store.SenderParticipant || !a.External {
		t.Errorf("activity %+v", a)
	}
	active := 0
	for _, p := range view.Participants {
		if p.Active {
			active++
		}
	}
	if len(view.Participants) != 2 || active != 1 {
		t.Errorf("participants %+v, want Carla active and her boss not", view.Participants)
	}
	raw, err := d.db.Blob(d.ctx, a.RawHash)
	if err != nil || !strings.Contains(string(raw), "Drucker_kaputt") {
		t.Errorf("raw %q, %v", raw, err)
	}
	if got := d.told(r.Ticket); !slices.Equal(got, []string{"anna@test.example"}) {
		t.Errorf("told %v, want the standard subscriber alone", got)
	}
}

func TestWhatThreads(t *testing.T) {
	d := newDesk(t)
	first := d.open()
	answer := d.answer(first.Ticket, "Which one?")
	rows, mails := d.deliveries(first.Ticket, store.MailAnswer)
	for _, tt := range []struct {
		name string
		l    letter
		by   SignalKind
	}{
		{"the tag", letter{from: "carla@ext.example", subject: "AW: [t#10001] Printer"}, SignalTag},
		{"their own Message-ID", letter{from: "carla@ext.example", subject: "and", header: "References: <m1@ext.example>\r\n"}, SignalReference},
		{"our Message-ID", letter{from: "carla@ext.example", subject: "and", header: "In-Reply-To: <" + answer.MessageID + ">\r\n"}, SignalToken},
		{"the Reply-To", letter{from: "carla@ext.example", subject: "and", to: []string{mails[0].ReplyTo}}, SignalEnvelopeToken},
		{"the return path", letter{from: "carla@ext.example", subject: "away", to: []string{rows[0].ReturnPath}}, SignalEnvelopeToken},
		{"upper case", letter{from: "carla@ext.example", subject: "and", to: []string{strings.ToUpper(mails[0].ReplyTo)}}, SignalEnvelopeToken},
		{"the bare reference", letter{from: "carla@ext.example", subject: "about T#10001"}, SignalBareReference},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d.t = t
			r := d.deliver(tt.l)
			if r.Outcome != OutcomeAppend || r.Ticket != first.Ticket || r.MatchedBy != tt.by {
				t.Errorf("got %+v, want it appended by %s", r, tt.by)
			}
		})
	}
}

func TestRepliesOutOfOrderComeTogether(t *testing.T) {
	d := newDesk(t)
	reply := d.deliver(letter{from: "carla@ext.example", subject: "Re: Printer", header: "In-Reply-To: <first@ext.example>\r\n"})
	first := d.deliver(letter{from: "carla@ext.example", subject: "Printer", id: "first@ext.example"})
	if first.Outcome != OutcomeAppend || first.Ticket != reply.Ticket || first.MatchedBy != SignalNamed {
		t.Errorf("the mail that was answered: %+v, want it in %d", first, reply.Ticket)
	}
}

// T01: a number alone opens nobody's ticket to a stranger.
func TestT01StrangerWithATagIsHeld(t *testing.T) {
	d := newDesk(t)
	first := d.open()
	before := len(d.activities(first.Ticket))
	for _, l := range []letter{
		{from: "eve@evil.example", subject: "[T#10001] hi", verdict: store.Verified},
		{from: "carla@ext.example", subject: "[T#10001] hi", verdict: store.Failed},
	} {
		r := d.deliver(l)
		if r.Outcome != OutcomeHold || r.Ticket == first.Ticket {
			t.Fatalf("got %+v, want it held", r)
		}
		if held := d.ticket(r.Ticket); held.SuggestedTicket != first.Ticket {
			t.Errorf("it waits for %d, want %d", held.SuggestedTicket, first.Ticket)
		}
	}
	if got := len(d.activities(first.Ticket)); got != before {
		t.Errorf("the ticket has %d activities, had %d", got, before)
	}
	view, err := d.Ticket(d.ctx, d.anna, first.Ticket)
	if err != nil || len(view.Held) != 2 || view.Held[0].From != "eve@evil.example" {
		t.Errorf("waiting: %+v, %v", view.Held, err)
	}
}

func TestConfirmBringsTheHeldMail(t *testing.T) {
	d := newDesk(t)
	first := d.open()
	held := d.deliver(letter{from: "eve@evil.example", subject: "[T#10001] hi"})
	if _, err := d.Confirm(d.ctx, d.otto, held.Ticket, ""); !store.IsNotFound(err) {
		t.Errorf("an outsider confirms: %v", err)
	}
	if _, err := d.Confirm(d.ctx, d.anna, held.Ticket, RememberParticipant); err != nil {
		t.Fatal(err)
	}
	list := d.activities(first.Ticket)
	var brought *store.Activity
	for i := range list {
		if list[i].ID == held.ActivityID {
			brought = &list[i]
		}
	}
	if brought == nil || brought.Sender != store.SenderStranger {
		t.Fatalf("brought %+v, want the stranger's mail as it was", brought)
	}
	again := d.deliver(letter{from: "eve@evil.example", subject: "Re: [T#10002] hi"})
	if again.Outcome != OutcomeAppend || again.Ticket != first.Ticket {
		t.Errorf("the number of the held ticket leads to %+v, want %d", again, first.Ticket)
	}
	if _, err := d.Dismiss(d.ctx, d.anna, first.Ticket); store.CodeOf(err) != store.CodeConflict {
		t.Errorf("nothing waits any more: %v", err)
	}
}

func TestDismissLeavesATicketOfItsOwn(t *testing.T) {
	d := newDesk(t)
	first := d.open()
	held := d.deliver(letter{from: "eve@evil.example", subject: "[T#10001] hi"})
	if _, err := d.Dismiss(d.ctx, d.anna, first.Ticket); err != nil {
		t.Fatal(err)
	}
	if got := d.ticket(held.Ticket); got.SuggestedTicket != 0 || got.MergedInto != 0 {
		t.Errorf("after the dismissal %+v", got)
	}
}

// D03: what the MTA hands over again adds nothing.
func TestD03RedeliveryAddsNothing(t *testing.T) {
	d := newDesk(t)
	in := d.incoming(letter{from: "carla@ext.example", subject: "Printer"})
	first := d.take(in)[0]
	for name, raw := range map[string]string{
		"same bytes": string(in.Raw),
		"requeued":   "Received: from a by b; Sun, 22 Nov 2026 12:00:00 +0000\r\n" + string(in.Raw),
		"twice":      "Received: from b by c\r\n\tid 2\r\nReceived: from a by b\r\n" + string(in.Raw),
	} {
		again := in
		again.Raw, again.Message = []byte(raw), parse(raw)
		if r := d.take(again)[0]; r.Outcome != OutcomeDuplicate || r.Ticket != first.Ticket {
			t.Errorf("%s: %+v, want a duplicate", name, r)
		}
	}
	if n := d.ticket(first.Ticket).Activities; n != 1 {
		t.Errorf("%d activities", n)
	}
}

// D06: a Message-ID that is known does not make another mail disappear.
func TestD06SameMessageIDOtherContentIsKept(t *testing.T) {
	d := newDesk(t)
	first := d.deliver(letter{from: "carla@ext.example", subject: "Printer", id: "same@ext.example"})
	second := d.deliver(letter{from: "eve@evil.example", subject: "Other", id: "same@ext.example", body: "other"})
	if second.Outcome != OutcomeNew || second.Ticket == first.Ticket {
		t.Errorf("got %+v, want a ticket of its own", second)
	}
}

func TestOneMailToSeveralAccounts(t *testing.T) {
	d := newDesk(t)
	sales := d.account
	sales.ID, sales.Name, sales.Address, sales.Key = store.NewID(), "Sales", "sales@test.example", "sales@test.example"
	sales.Aliases, sales.AliasKeys = []string{"shop@test.example"}, []string{"shop@test.example"}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, sales) })
	results := d.take(d.incoming(letter{
		from: "carla@ext.example", subject: "Printer", to: []string{"support@test.example", "shop@test.example", "sales@test.example"},
	}))
	if results[0].Ticket == results[1].Ticket || results[1] != results[2] {
		t.Fatalf("got %+v, want a ticket for each account", results)
	}
	view, err := d.Ticket(d.ctx, d.anna, results[0].Ticket)
	if err != nil || len(view.Links) != 1 || view.Links[0].Number != results[1].Ticket {
		t.Errorf("links %+v, %v", view.Links, err)
	}
	reply := d.take(d.incoming(letter{
		from: "carla@ext.example", subject: "Re: [T#10001] Printer", to: []string{"support@test.example", "sales@test.example"},
	}))
	if reply[0] != reply[1] || reply[0].Ticket != results[0].Ticket {
		t.Errorf("a reply to both: %+v, want it once in %d", reply, results[0].Ticket)
	}
}

func TestClosedTicketsReopen(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.close(r.Ticket)
	if auto := d.deliver(letter{from: "carla@ext.example", subject: "[T#10001] away", header: "Auto-Submitted: auto-replied\r\n"}); auto.Outcome != OutcomeAppend || d.status(r.Ticket) != statusClosed {
		t.Fatalf("a machine: %+v, status %s", auto, d.status(r.Ticket))
	}
	d.deliver(letter{from: "carla@ext.example", subject: "[T#10001] again"})
	if got := d.status(r.Ticket); got != statusInProgress {
		t.Errorf("status %s after a reply", got)
	}
	days := 7
	d.setChannel(func(c *store.Channel) { c.ReopenDays = &days })
	d.close(r.Ticket)
	d.now = d.now.AddDate(0, 0, 8)
	late := d.deliver(letter{from: "carla@ext.example", subject: "[T#10001] late"})
	if late.Outcome != OutcomeNew || late.Ticket == r.Ticket {
		t.Fatalf("late: %+v", late)
	}
	view, err := d.Ticket(d.ctx, d.anna, late.Ticket)
	if err != nil || len(view.Links) != 1 || view.Links[0].Number != r.Ticket || view.Links[0].Kind != store.LinkFollows {
		t.Errorf("links %+v, %v", view.Links, err)
	}
}

func TestIncomingSetsTheStatus(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.deliver(letter{from: "carla@ext.example", subject: "[T#10001] more"})
	if got := d.status(r.Ticket); got != statusNew {
		t.Errorf("New did not stay New: %s", got)
	}
	d.answer(r.Ticket, "done")
	if got := d.status(r.Ticket); got != statusAnswered {
		t.Errorf("after the answer %s", got)
	}
	reply := d.deliver(letter{from: "carla@ext.example", subject: "[T#10001] thanks"})
	if got := d.status(r.Ticket); got != statusInProgress {
		t.Errorf("after the reply %s", got)
	}
	for _, a := range d.activities(r.Ticket) {
		if a.ID == reply.ActivityID && (len(a.Changes) != 1 || a.Changes[0].To != statusInProgress) {
			t.Errorf("changes %+v", a.Changes)
		}
	}
}

// D33: our own mark, and only ours, sends a mail to the quarantine.
func TestD33LoopMark(t *testing.T) {
	d := newDesk(t)
	mark := d.tokens.LoopMark("x")
	if r := d.deliver(letter{from: "carla@ext.example", subject: "loop", header: "X-Ticketgate-Loop: " + mark + "\r\n"}); r.Outcome != OutcomeQuarantine {
		t.Errorf("our mark: %+v", r)
	}
	if r := d.deliver(letter{from: "carla@ext.example", subject: "loop", header: "X-Ticketgate-Loop: x.aaaaaaaaaaaaaaaa\r\n"}); r.Outcome != OutcomeNew {
		t.Errorf("a forged mark: %+v", r)
	}
}

func TestRequireDKIM(t *testing.T) {
	d := newDesk(t)
	d.setChannel(func(c *store.Channel) { c.RequireDKIM = "reject" })
	unsigned := d.Take(d.ctx, d.incoming(letter{from: "carla@ext.example", subject: "x"}))[0]
	if store.ReasonOf(unsigned.Err) != store.ReasonDKIMRequired {
		t.Errorf("unsigned: %v", unsigned.Err)
	}
	dns := d.Take(d.ctx, d.incoming(letter{from: "carla@ext.example", subject: "x", verdict: store.AuthError}))[0]
	if store.ReasonOf(dns.Err) != store.ReasonDKIMUnknown || store.CodeOf(dns.Err) != store.CodeUnavailable {
		t.Errorf("while DNS fails: %v", dns.Err)
	}
	if r := d.deliver(letter{from: "carla@ext.example", subject: "x", verdict: store.Verified}); r.Outcome != OutcomeNew {
		t.Errorf("signed: %+v", r)
	}
	d.setChannel(func(c *store.Channel) { c.RequireDKIM = "quarantine" })
	in := d.incoming(letter{from: "carla@ext.example", subject: "x", verdict: store.AuthError})
	if r := d.take(in)[0]; r.Outcome != OutcomeQuarantine {
		t.Fatalf("got %+v", r)
	}
	d.recheckAs(in, store.Verified)
	var open []store.Ticket
	d.view(func(ctx context.Context, tx *store.Tx) (err error) {
		open, _, err = tx.Tickets(ctx, store.TicketFilter{Limit: 50})
		return err
	})
	if len(open) != 2 {
		t.Errorf("%d tickets after the look-up, want the quarantined mail released", len(open))
	}
}

// recheckAs has DNS answer for a mail whose verdict was error.
func (d *desk) recheckAs(in Incoming, verdict store.Verdict) {
	d.t.Helper()
	var due []store.Recheck
	d.view(func(ctx context.Context, tx *store.Tx) (err error) {
		due, err = tx.DueRechecks(ctx, d.now.AddDate(0, 0, 1), 10)
		return err
	})
	if len(due) != 1 {
		d.t.Fatalf("%d look-ups wait, want 1", len(due))
	}
	in.Auth.Verdict, in.AlignedDKIM = verdict, verdict == store.Verified
	if err := d.Rechecked(d.ctx, due[0], in); err != nil {
		d.t.Fatal(err)
	}
}

// T02 and K08: what a DNS failure withheld is done once DNS answers.
func TestK08WithheldUntilDNSAnswers(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	answer := d.answer(r.Ticket, "?")
	d.close(r.Ticket)
	in := d.incoming(letter{from: "carla@ext.example", subject: "re", header: "In-Reply-To: <" + answer.MessageID + ">\r\n", verdict: store.AuthError})
	if got := d.take(in)[0]; got.Outcome != OutcomeAppend || d.status(r.Ticket) != statusClosed {
		t.Fatalf("got %+v, status %s", got, d.status(r.Ticket))
	}
	d.recheckAs(in, store.Verified)
	if got := d.status(r.Ticket); got != statusInProgress {
		t.Errorf("status %s after the look-up", got)
	}
}

func TestMergedTicketsLeadOn(t *testing.T) {
	d := newDesk(t)
	one, two, three := d.open(), d.open(), d.open()
	for _, pair := range [][2]int64{{one.Ticket, two.Ticket}, {two.Ticket, three.Ticket}} {
		if _, err := d.Merge(d.ctx, d.anna, pair[0], pair[1]); err != nil {
			t.Fatal(err)
		}
	}
	if r := d.deliver(letter{from: "carla@ext.example", subject: "[T#10001] hello"}); r.Ticket != three.Ticket {
		t.Errorf("the first number leads to %d, want %d", r.Ticket, three.Ticket)
	}
	if _, err := d.Merge(d.ctx, d.anna, three.Ticket, one.Ticket); store.CodeOf(err) != store.CodeInvalid {
		t.Errorf("a ring: %v", err)
	}
}

func TestColleaguesByFollowupScope(t *testing.T) {
	d := newDesk(t)
	firm := store.Company{ID: store.NewID(), Name: "Firm", Domains: []string{"firm.example"}, CreatedAt: d.now, UpdatedAt: d.now}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutCompany(ctx, firm) })
	r := d.deliver(letter{from: "carla@firm.example", subject: "Printer", header: "Cc: cc@ext.example\r\n"})
	for _, tt := range []struct{ scope, from string }{
		{scopeCompany, "dora@firm.example"}, {scopeCompany, "cc@ext.example"}, {scopeParticipants, "cc@ext.example"}, {scopeContact, "carla@firm.example"},
	} {
		d.setChannel(func(c *store.Channel) { c.FollowupScope = tt.scope })
		if got := d.deliver(letter{from: tt.from, subject: "[T#10001] me"}); got.Outcome != OutcomeAppend || got.Ticket != r.Ticket {
			t.Errorf("%s under %s: %+v", tt.from, tt.scope, got)
		}
	}
	for _, tt := range []struct{ scope, from string }{
		{scopeParticipants, "emil@firm.example"}, {scopeContact, "cc@ext.example"}, {scopeCompany, "x@other.example"},
	} {
		d.setChannel(func(c *store.Channel) { c.FollowupScope = tt.scope })
		if got := d.deliver(letter{from: tt.from, subject: "[T#10001] me"}); got.Outcome != OutcomeHold {
			t.Errorf("%s under %s: %+v, want it held", tt.from, tt.scope, got)
		}
	}
}

// T19: a mail with two From fields is nobody's.
func TestT19TwoFromFieldsAreNobody(t *testing.T) {
	d := newDesk(t)
	r := d.deliver(letter{from: "carla@ext.example", subject: "x", header: "From: eve@evil.example\r\n"})
	ticket := d.ticket(r.Ticket)
	a := d.activities(r.Ticket)[0]
	if ticket.ContactID != "" || a.Author.Kind != store.AuthorUnknown {
		t.Errorf("contact %q, author %+v", ticket.ContactID, a.Author)
	}
}

func TestRecipient(t *testing.T) {
	d := newDesk(t)
	for recipient, reason := range map[string]string{
		"support@test.example": "", "SUPPORT@TEST.example": "", "support+anything@test.example": "",
		"nobody@test.example": store.ReasonUnknownRecipient, "x@other.example": store.ReasonUnknownDomain, "no address": store.ReasonUnknownRecipient,
	} {
		if err := d.Recipient(d.ctx, recipient); store.ReasonOf(err) != reason {
			t.Errorf("%s: %v, want %q", recipient, err, reason)
		}
	}
	d.account.Active = false
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, d.account) })
	if err := d.Recipient(d.ctx, "support@test.example"); store.ReasonOf(err) != store.ReasonAccountOff {
		t.Errorf("switched off: %v", err)
	}
}

// D32: the null sender is a machine, whatever its mail looks like.
func TestD32NullSenderIsAMachine(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.close(r.Ticket)
	got := d.deliver(letter{from: "carla@ext.example", subject: "[T#10001] away", envelope: "-"})
	if got.Outcome != OutcomeAppend || d.status(r.Ticket) != statusClosed {
		t.Errorf("got %+v, status %s", got, d.status(r.Ticket))
	}
}
