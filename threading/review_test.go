package threading

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

func (d *desk) rawMail(raw, rcpt string, v store.Verdict) Incoming {
	raw = strings.ReplaceAll(raw, "\n", "\r\n")
	m := message.Parse([]byte(raw))
	sender, _ := m.Author()
	return Incoming{Raw: []byte(raw), Message: m, From: sender.String(), Recipients: []string{rcpt}, DeliveryID: store.NewID(), ReceivedAt: d.now,
		Auth: store.Auth{Verdict: v}, AlignedDKIM: v == store.Verified}
}

func TestT28ALateVerdictReopensNothing(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	l := reply("anna@test.example", d.notified(r.Ticket, d.anna), "Use water.")
	l.verdict = store.AuthError
	d.close(r.Ticket)
	d.now = d.now.Add(time.Minute)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteSubscription(ctx, d.channel.ID, d.anna.ID)
	})
	in := d.incoming(l)
	got := d.take(in)[0]
	d.now = d.now.Add(time.Minute)
	in.Auth = store.Auth{Verdict: store.Verified}
	if err := d.Rechecked(d.ctx, store.Recheck{ID: got.ActivityID}, in); err != nil {
		t.Fatal(err)
	}
	if s := d.status(r.Ticket); s != statusClosed {
		t.Errorf("an agent without access reopened it: %s", s)
	}
}

func TestK17AnAgentsPrivateMailIsNotSentOn(t *testing.T) {
	d := newDesk(t)
	r := d.open() // Carla's
	d.answer(r.Ticket, "first")
	_, mails := d.deliveries(r.Ticket, store.MailAnswer)
	id := mails[0].MessageID // whoever got the answer, e.g. a Cc, knows it
	in := d.rawMail("From: anna@test.example\nTo: Mallory <mallory@evil.example>\nSubject: Re: lunch\nMessage-ID: <p@test.example>\nIn-Reply-To: <"+id+">\n\nThe door code is 4711.\n", "support@test.example", store.Verified)
	d.take(in)
	if rows, m := d.deliveries(r.Ticket, store.MailAnswer); len(rows) != 1 {
		t.Errorf("an agent's private mail to Mallory went to %s: %q", rows[1].Recipient, m[1].Text)
	}
}

func TestASharedCcCapturesNoMail(t *testing.T) {
	d := newDesk(t)
	m := d.deliver(letter{from: "mallory@evil.example", subject: "hi", header: "Cc: carla@ext.example, bob@partner.example\r\nReferences: <x@ext.example>\r\n"})
	r := d.deliver(letter{from: "carla@ext.example", subject: "Printer secret", header: "Cc: bob@partner.example\r\nReferences: <x@ext.example>\r\n"})
	if r.Ticket == m.Ticket {
		a := d.answer(r.Ticket, "answer")
		t.Errorf("captured by %s; the answer goes to %v and cc %v", r.MatchedBy, a.To, a.Cc)
	}
}

func TestAClaimedMessageIDCapturesNoMail(t *testing.T) {
	d := newDesk(t)
	m := d.deliver(letter{from: "mallory@evil.example", subject: "hi", id: "carlas-own@ext.example", header: "Cc: carla@ext.example\r\n"})
	r := d.deliver(letter{from: "carla@ext.example", subject: "Fwd: Printer secret", header: "References: <carlas-own@ext.example>\r\n"})
	if r.Ticket == m.Ticket {
		a := d.answer(r.Ticket, "answer")
		t.Errorf("captured by %s; the answer goes to %v and cc %v", r.MatchedBy, a.To, a.Cc)
	}
}

func TestAnUnsignedAutoresponderOfAnAgentEnds(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	for range 3 {
		n := d.notified(r.Ticket, d.anna)
		d.deliver(letter{from: "anna@test.example", subject: "Out of office", header: "Auto-Submitted: auto-replied\r\nIn-Reply-To: <" + n.MessageID + ">\r\n", verdict: store.Failed})
	}
	if got := len(d.told(r.Ticket)); got != 1 {
		t.Errorf("told %d times: %v", got, d.told(r.Ticket))
	}
}

func TestAnAgentAnswersALongClosedTicket(t *testing.T) {
	d := newDesk(t)
	zero := 0
	d.setChannel(func(c *store.Channel) { c.ReopenDays = &zero })
	r := d.open()
	n := d.notified(r.Ticket, d.anna)
	d.close(r.Ticket)
	got := d.deliver(reply("anna@test.example", n, "One thing more: use water."))
	rows, _ := d.deliveries(r.Ticket, store.MailAnswer)
	if got.Ticket != r.Ticket || len(rows) != 1 {
		t.Errorf("%+v, answers %d, contact of new %q", got, len(rows), d.ticket(got.Ticket).ContactID)
	}
}

func TestHeldMailFollowsAMerge(t *testing.T) {
	d := newDesk(t)
	a := d.open()
	b := d.deliver(letter{from: "carla@ext.example", subject: "Other"})
	h := d.deliver(letter{from: "dave@other.example", subject: "[T#" + fmt.Sprint(a.Ticket) + "] me"})
	if h.Outcome != OutcomeHold {
		t.Fatal(h)
	}
	if _, err := d.Merge(d.ctx, d.anna, a.Ticket, b.Ticket); err != nil {
		t.Fatal(err)
	}
	view, err := d.Ticket(d.ctx, d.anna, b.Ticket)
	if err != nil || len(view.Held) != 1 {
		t.Errorf("held shown on the ticket it went into: %v %v", view.Held, err)
	}
	if _, err := d.Confirm(d.ctx, d.anna, a.Ticket, ""); err != nil {
		t.Fatal(err)
	}
	var where int64
	d.view(func(ctx context.Context, tx *store.Tx) error {
		x, err := tx.Activity(ctx, h.ActivityID)
		where = x.Ticket
		return err
	})
	if where == a.Ticket {
		t.Errorf("confirmed mail lies in the merged ticket %d (merged into %d), status %s", where, d.ticket(a.Ticket).MergedInto, d.status(a.Ticket))
	}
}

func TestWhoIsVerifiedLaterIsAParticipant(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.answer(r.Ticket, "first")
	_, mails := d.deliveries(r.Ticket, store.MailAnswer)
	in := d.incoming(letter{from: "carla@ext.example", subject: "Re", header: "In-Reply-To: <" + mails[0].MessageID + ">\r\n", verdict: store.AuthError})
	got := d.take(in)[0]
	in.Auth = store.Auth{Verdict: store.Verified}
	if err := d.Rechecked(d.ctx, store.Recheck{ID: got.ActivityID}, in); err != nil {
		t.Fatal(err)
	}
	a := d.last(r.Ticket)
	if a.Sender != store.SenderParticipant || !a.External {
		t.Errorf("sender %s external %v status %s verdict %s", a.Sender, a.External, d.status(r.Ticket), a.Auth.Verdict)
	}
}

func TestAnAddressInsideAnotherStays(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.deliver(reply("anna@test.example", d.notified(r.Ticket, d.anna), "Ask joanna@test.example or anna@test.example.org"))
	_, mails := d.deliveries(r.Ticket, store.MailAnswer)
	if !strings.Contains(mails[0].Text, "joanna@test.example") {
		t.Errorf("%q", mails[0].Text)
	}
}

func TestDirectiveInHTML(t *testing.T) {
	got := withoutDirective(`<p>#from: Nora New &lt;<a href="mailto:nora@new.example">nora@new.example</a>&gt;</p><p>x</p>`)
	if strings.Contains(got, "#from") {
		t.Errorf("%q", got)
	}
}

func TestAFormGivesNoRightToATicket(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.close(r.Ticket)
	d.trustForm(store.CustomerReplyTo)
	got := d.deliver(formMail(func(l *letter) {
		l.subject = "[T#10001] send it elsewhere"
		l.header = "Reply-To: carla@ext.example\r\n"
	}))
	if got.Ticket == r.Ticket && d.last(r.Ticket).Sender == store.SenderParticipant {
		t.Errorf("appended as verified participant, status %s external %v", d.status(r.Ticket), d.last(r.Ticket).External)
	}
}

func TestMergeOfAHeldTicketBringsItsMail(t *testing.T) {
	d := newDesk(t)
	a := d.open()
	b := d.deliver(letter{from: "carla@ext.example", subject: "Other"})
	h := d.deliver(letter{from: "dave@other.example", subject: "[T#" + fmt.Sprint(a.Ticket) + "] me"})
	if _, err := d.Merge(d.ctx, d.anna, h.Ticket, b.Ticket); err != nil {
		t.Fatal(err)
	}
	if n := len(d.said(b.Ticket)); n != 2 {
		t.Errorf("%d mails there, %d left behind", n, len(d.said(h.Ticket)))
	}
}

func TestANewsletterTiesNobody(t *testing.T) {
	d := newDesk(t)
	var r Result
	for i := range 150 {
		r = d.deliver(letter{from: fmt.Sprintf("c%d@x%d.example", i, i), subject: "Re: News", header: "In-Reply-To: <news@list.example>\r\n"})
	}
	if n := len(d.last(r.Ticket).Match.Signals); n > 50 {
		t.Errorf("%d signals kept on one activity; each ticket was read and locked", n)
	}
}

func TestNothingMovesOutOfSight(t *testing.T) {
	d := newDesk(t)
	secret := store.Channel{ID: store.NewID(), Name: "Secret", Active: true, DefaultStatusID: d.channel.DefaultStatusID}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutChannel(ctx, secret) })
	a, b, c := d.open(), d.deliver(letter{from: "carla@ext.example", subject: "B"}), d.deliver(letter{from: "carla@ext.example", subject: "C"})
	if _, err := d.PatchTicket(d.ctx, d.admin, c.Ticket, TicketPatch{ChannelID: &secret.ID}); err != nil {
		t.Fatal(err)
	}
	d.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.PutSubscription(ctx, store.Subscription{ChannelID: secret.ID, AgentID: d.admin.ID, Type: store.SubscriptionStandard})
	})
	if _, err := d.Merge(d.ctx, d.admin, b.Ticket, c.Ticket); err != nil {
		t.Fatal(err)
	}
	got, err := d.MoveActivity(d.ctx, d.anna, a.Ticket, a.ActivityID, b.Ticket)
	if err == nil {
		t.Errorf("anna moved it into %d, which she can't see", got.Ticket)
	}
}

func TestAnAnswerToWaitingMailIsANote(t *testing.T) {
	d := newDesk(t)
	d.setChannel(func(c *store.Channel) { c.NewSubject = store.NewSubjectSuggest })
	r := d.open()
	d.answer(r.Ticket, "first")
	_, mails := d.deliveries(r.Ticket, store.MailAnswer)
	h := d.deliver(letter{from: "carla@ext.example", subject: "Quite another thing", header: "In-Reply-To: <" + mails[0].MessageID + ">\r\n"})
	if h.Outcome != OutcomeHold {
		t.Fatal(h)
	}
	n := d.notified(r.Ticket, d.anna)
	d.deliver(reply("anna@test.example", n, "Use water."))
	rows, m := d.deliveries(h.Ticket, store.MailAnswer)
	if len(rows) != 0 {
		t.Errorf("an answer left with the number of the ticket that waits: %q", m[0].Subject)
	}
}

func TestAnAgentsMailFollowsNoAncestor(t *testing.T) {
	d := newDesk(t)
	r := d.deliver(letter{from: "c@x.example", subject: "Re: News", header: "In-Reply-To: <news@list.example>\r\n"})
	got := d.deliver(letter{from: "anna@test.example", subject: "Re: News", header: "In-Reply-To: <news@list.example>\r\n", verdict: store.Verified})
	if got.Ticket == r.Ticket {
		t.Errorf("%+v: %s", got, d.last(r.Ticket).Type)
	}
}

func TestK17AnAnswerUnderAnUnsignedIDIsANote(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	l := reply("anna@test.example", d.notified(r.Ticket, d.anna), "Use water.")
	for _, id := range []string{"a@test.example", "b@test.example"} {
		l.id = id
		in := d.incoming(l)
		in.Trusts = func(f string) bool { return f != "message-id" }
		d.take(in)
	}
	if rows, _ := d.deliveries(r.Ticket, store.MailAnswer); len(rows) != 0 || d.last(r.Ticket).Type != store.TypeNote {
		t.Errorf("%d answers, %+v", len(rows), d.last(r.Ticket))
	}
}

func TestAFailedMailChoosesNoAccount(t *testing.T) {
	d := newDesk(t)
	sales := d.secondAccount("sales")
	r := d.open()
	d.answer(r.Ticket, "x")
	_, mails := d.deliveries(r.Ticket, store.MailAnswer)
	d.deliver(letter{from: "carla@ext.example", subject: "y", to: []string{"sales@test.example"}, header: "In-Reply-To: <" + mails[0].MessageID + ">\r\n", verdict: store.Failed})
	if d.ticket(r.Ticket).AccountID == sales.ID {
		t.Errorf("a failed mail changed the account that answers go out from; version, last incoming too")
	}
}

func TestNoStrangersIDLeaves(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	l := reply("anna@test.example", d.notified(r.Ticket, d.anna), "Use water.")
	l.id, l.verdict = "x@laptop.anna.example", store.Failed
	d.deliver(l)
	d.answer(r.Ticket, "y")
	_, mails := d.deliveries(r.Ticket, store.MailAnswer)
	if strings.Contains(strings.Join(mails[0].References, " "), "laptop.anna") {
		t.Errorf("%v", mails[0].References)
	}
}

func TestReleaseFilesOnce(t *testing.T) {
	d := newDesk(t)
	strict := d.channel
	strict.ID, strict.Name, strict.RequireDKIM = store.NewID(), "Strict", "quarantine"
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutChannel(ctx, strict) })
	sales := d.secondAccount("sales")
	sales.DefaultChannelID = strict.ID
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, sales) })
	r := d.open()
	in := d.incoming(letter{from: "carla@ext.example", subject: "[T#10001] y", to: []string{"support@test.example", "sales@test.example"}})
	d.take(in)
	var id string
	d.view(func(ctx context.Context, tx *store.Tx) error {
		list, _, err := tx.QuarantinedList(ctx, "", 50)
		if len(list) > 0 {
			id = list[0].ID
		}
		return err
	})
	in.Recipients = []string{"sales@test.example"}
	if _, err := d.Release(d.ctx, d.admin, id, in); err != nil {
		t.Fatal(err)
	}
	if n := len(d.said(r.Ticket)); n != 2 {
		t.Errorf("%d mails in the ticket, want 2", n)
	}
}

func TestK08AFiledMailIsTheCustomersOnceVerified(t *testing.T) {
	d := newDesk(t)
	in := d.incoming(letter{from: "Anna <anna@test.example>", subject: "Fwd: Invoice", verdict: store.AuthError, body: "#from: nora@new.example\r\n\r\nWhere is it?"})
	got := d.take(in)[0]
	in.Auth = store.Auth{Verdict: store.Verified}
	if err := d.Rechecked(d.ctx, store.Recheck{ID: got.ActivityID}, in); err != nil {
		t.Fatal(err)
	}
	a := d.last(got.Ticket)
	if a.Author.Address != "nora@new.example" || a.CreatedBy != d.anna.ID || strings.Contains(a.Text, "#from") || d.ticket(got.Ticket).ContactID == "" {
		t.Errorf("%+v", a)
	}
}

func TestColleaguesReadANewsletter(t *testing.T) {
	d := newDesk(t)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.PutCompany(ctx, store.Company{ID: store.NewID(), Name: "Firm", Domains: []string{"firm.example"}, CreatedAt: d.now, UpdatedAt: d.now})
	})
	a := d.deliver(letter{from: "ann@firm.example", subject: "Re: News", header: "In-Reply-To: <news@list.example>\r\n"})
	b := d.deliver(letter{from: "ben@firm.example", subject: "unsubscribe, salary", header: "In-Reply-To: <news@list.example>\r\n"})
	if a.Ticket == b.Ticket {
		x := d.answer(b.Ticket, "z")
		t.Errorf("ben's mail is in ann's ticket by %s; the answer goes to %v cc %v", b.MatchedBy, x.To, x.Cc)
	}
}

func TestFieldsAboveTheMarkStayHere(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	n := d.notified(r.Ticket, d.anna)
	l := reply("anna@test.example", n, "")
	l.body = "Use water.\r\n\r\nFelado: Support\r\nCimzett: Anna Private\r\nTargy: x\r\n\r\n[reply above this line] Your reply goes\r\n"
	d.deliver(l)
	if _, m := d.deliveries(r.Ticket, store.MailAnswer); len(m) != 1 || strings.TrimSpace(m[0].Text) != "Use water." {
		t.Errorf("the customer reads %+v", m)
	}
}

func TestAnAgentWhoOpenedATicketIsNotCopied(t *testing.T) {
	d := newDesk(t)
	carla := d.open()
	r := d.deliver(letter{from: "Anna <anna@test.example>", subject: "Fwd: Invoice", body: "Carla wrote this", verdict: store.Verified})
	id := d.ticket(carla.Ticket).ContactID
	if _, err := d.PatchTicket(d.ctx, d.admin, r.Ticket, TicketPatch{ContactID: &id}); err != nil {
		t.Fatal(err)
	}
	a := d.answer(r.Ticket, "Here it is.")
	if len(a.Cc) != 0 {
		t.Errorf("to %v, cc %v", a.To, a.Cc)
	}
}

func TestHeldMailFollowsAJoin(t *testing.T) {
	d := newDesk(t)
	third := d.deliver(letter{from: "carla@ext.example", subject: "Re: Plans", id: "m3@x.example", header: "In-Reply-To: <m2@x.example>\r\n"})
	h := d.deliver(letter{from: "dave@other.example", subject: "[T#" + fmt.Sprint(third.Ticket) + "]"})
	first := d.deliver(letter{from: "carla@ext.example", subject: "Plans", id: "m1@x.example"})
	d.deliver(letter{from: "carla@ext.example", subject: "Re: Plans", id: "m2@x.example", header: "In-Reply-To: <m1@x.example>\r\n"})
	view, _ := d.Ticket(d.ctx, d.anna, first.Ticket)
	if d.ticket(third.Ticket).MergedInto == first.Ticket && len(view.Held) == 0 {
		t.Errorf("nobody sees any more that %d waits: its ticket went into %d by itself", h.Ticket, first.Ticket)
	}
}

func TestACcJoinsNoTickets(t *testing.T) {
	d := newDesk(t)
	a := d.deliver(letter{from: "carla@ext.example", subject: "Printer", id: "a@ext.example", header: "Cc: mallory@evil.example, bob@x.example\r\n"})
	b := d.deliver(letter{from: "carla@ext.example", subject: "Salary", id: "b@ext.example", header: "Cc: mallory@evil.example\r\n"})
	if a.Ticket == b.Ticket {
		t.Fatal()
	}
	d.deliver(letter{from: "mallory@evil.example", subject: "x", header: "In-Reply-To: <a@ext.example>\r\nReferences: <b@ext.example>\r\n"})
	if d.ticket(b.Ticket).MergedInto != 0 || d.ticket(a.Ticket).MergedInto != 0 {
		t.Errorf("a third party put %d and %d together for good", a.Ticket, b.Ticket)
	}
	if got := d.deliver(letter{from: "bob@x.example", subject: fmt.Sprintf("[T#%d]", b.Ticket)}); got.Outcome == OutcomeAppend {
		t.Errorf("bob writes into b now: %+v", got)
	}
}

func TestAFiledMailReopensNothing(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.answer(r.Ticket, "x")
	_, mails := d.deliveries(r.Ticket, store.MailAnswer)
	tok := "In-Reply-To: <" + mails[0].MessageID + ">\r\n"
	// #from with a token, not yet known, ticket closed
	d.close(r.Ticket)
	d.now = d.now.Add(time.Minute)
	in := d.incoming(letter{from: "anna@test.example", subject: "Fwd", header: tok, body: "#from: nora@new.example\r\nx", verdict: store.AuthError})
	got := d.take(in)[0]
	d.now = d.now.Add(time.Minute)
	in.Auth = store.Auth{Verdict: store.Verified}
	if err := d.Rechecked(d.ctx, store.Recheck{ID: got.ActivityID}, in); err != nil {
		t.Fatal(err)
	}
	if d.status(r.Ticket) != statusClosed {
		t.Error("reopened by a mail that opens a ticket of its own")
	}
}

func TestK08AFormsMailIsTheCustomersOnceVerified(t *testing.T) {
	d := newDesk(t)
	d.trustForm(store.CustomerReplyTo)
	in := d.incoming(formMail(func(l *letter) { l.verdict = store.AuthError }))
	got := d.take(in)[0]
	in.Auth = store.Auth{Verdict: store.Verified}
	if err := d.Rechecked(d.ctx, store.Recheck{ID: got.ActivityID}, in); err != nil {
		t.Fatal(err)
	}
	if a := d.last(got.Ticket); a.Author.Address != "nora@new.example" || a.Automatic != "" {
		t.Errorf("%+v", a)
	}
	x := d.answer(got.Ticket, "soon")
	if x.To[0].Address != "nora@new.example" {
		t.Error("the answer to a form's mail that was verified late goes to the form")
	}
}

func TestK08NothingIsSentAfterAnAnswerByHand(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	in := d.incoming(func() letter {
		l := reply("anna@test.example", d.notified(r.Ticket, d.anna), "Use water.")
		l.verdict = store.AuthError
		return l
	}())
	got := d.take(in)[0]
	d.now = d.now.Add(time.Hour)
	d.answer(r.Ticket, "Use water.") // she saw that nothing went out
	d.close(r.Ticket)
	d.now = d.now.Add(time.Hour)
	in.Auth = store.Auth{Verdict: store.Verified}
	if err := d.Rechecked(d.ctx, store.Recheck{ID: got.ActivityID}, in); err != nil {
		t.Fatal(err)
	}
	rows, _ := d.deliveries(r.Ticket, store.MailAnswer)
	if len(rows) != 1 || d.status(r.Ticket) != statusClosed {
		t.Errorf("%d answers, status %s", len(rows), d.status(r.Ticket))
	}
}
