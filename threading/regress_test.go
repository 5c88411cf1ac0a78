package threading

import (
	"context"
	"slices"
	"strings"
	"testing"

	"ticketgate/store"
)

func (d *desk) quarantined() (q []store.Quarantined) {
	d.t.Helper()
	d.view(func(ctx context.Context, tx *store.Tx) (err error) {
		q, _, err = tx.QuarantinedList(ctx, "", 50)
		return err
	})
	return q
}

func (d *desk) secondAccount(name string) store.MailAccount {
	d.t.Helper()
	a := d.account
	a.ID, a.Name, a.Address, a.Key = store.NewID(), name, name+"@test.example", name+"@test.example"
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, a) })
	return a
}

// A notification that bounces is noted and starts nothing: else each bounce
// would make the next notification, for ever.
func TestABouncedNotificationEndsThere(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	rows, _ := d.deliveries(r.Ticket, store.MailNotification)
	if got := d.take(bounceMail(d, rows[0].ReturnPath, rows[0].MessageID, rows[0].Recipient))[0]; got.Outcome != OutcomeBounce {
		t.Fatalf("got %+v", got)
	}
	rows, _ = d.deliveries(r.Ticket, store.MailNotification)
	if len(rows) != 1 || rows[0].State != store.Failure || d.ticket(r.Ticket).Activities != 1 {
		t.Errorf("%d notifications, %+v, %d activities", len(rows), rows[0], d.ticket(r.Ticket).Activities)
	}
}

// A quarantined mail stays there while nobody could get it.
func TestReleaseKeepsWhatNobodyTakes(t *testing.T) {
	d := newDesk(t)
	d.setChannel(func(c *store.Channel) { c.RequireDKIM = "quarantine" })
	in := d.incoming(letter{from: "carla@ext.example", subject: "x", verdict: store.AuthError})
	d.take(in)
	item := d.quarantined()[0]
	d.account.Active = false
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, d.account) })
	if _, err := d.Release(d.ctx, d.admin, item.ID, in); store.CodeOf(err) != store.CodeConflict {
		t.Errorf("release: %v", err)
	}
	verified := in
	verified.Auth.Verdict, verified.AlignedDKIM = store.Verified, true
	if err := d.Rechecked(d.ctx, store.Recheck{ID: item.ID}, verified); err != nil {
		t.Errorf("recheck: %v", err)
	}
	if n := len(d.quarantined()); n != 1 {
		t.Errorf("%d items in the quarantine, want the one", n)
	}
}

func TestConfirmRemembersWhatItIsTold(t *testing.T) {
	for remember, want := range map[string]Outcome{RememberNothing: OutcomeHold, RememberParticipant: OutcomeAppend, RememberContact: OutcomeAppend} {
		d := newDesk(t)
		first := d.open()
		customer := d.ticket(first.Ticket).ContactID
		held := d.deliver(letter{from: "eve@evil.example", subject: "[T#10001] hi", header: "Cc: mallory@third.example\r\n"})
		if _, err := d.Confirm(d.ctx, d.anna, held.Ticket, remember); err != nil {
			t.Fatal(err)
		}
		if got := d.deliver(letter{from: "eve@evil.example", subject: "[T#10001] again"}); got.Outcome != want {
			t.Errorf("%s: the stranger again: %+v, want %s", remember, got, want)
		}
		if got := d.deliver(letter{from: "mallory@third.example", subject: "[T#10001] me too"}); got.Outcome != OutcomeHold {
			t.Errorf("%s: whom he had in Cc: %+v", remember, got)
		}
		if got := d.ticket(first.Ticket).ContactID; got != customer {
			t.Errorf("%s: the ticket went to another contact", remember)
		}
		if remember == RememberNothing {
			if a := d.answer(first.Ticket, "hello"); a.To[0].Address != "carla@ext.example" {
				t.Errorf("the next answer goes to %+v", a.To)
			}
		}
	}
}

func TestNoAnswerGoesToNobody(t *testing.T) {
	d := newDesk(t)
	r := d.deliver(letter{from: strings.Repeat("x", 70) + "@ext.example", subject: "x"})
	if _, err := d.AddActivity(d.ctx, d.anna, r.Ticket, NewActivity{Type: store.TypeOutgoing, Text: "hello"}); store.ReasonOf(err) != store.ReasonNoAddress {
		t.Errorf("got %v, status %s", err, d.status(r.Ticket))
	}
}

func TestAnAddressGetsOneCopy(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	if _, err := d.AddActivity(d.ctx, d.anna, r.Ticket, NewActivity{Type: store.TypeOutgoing, Text: "hello", Cc: []string{"Carla@EXT.example"}}); err != nil {
		t.Fatal(err)
	}
	if rows, _ := d.deliveries(r.Ticket, store.MailAnswer); len(rows) != 1 {
		t.Errorf("%d copies", len(rows))
	}
}

// B before A+B: what another transaction made of the mail counts, whichever
// accounts this one names.
func TestRedeliveryToMoreAccounts(t *testing.T) {
	d := newDesk(t)
	d.secondAccount("sales")
	l := letter{from: "carla@ext.example", subject: "Printer", id: "1@ext.example", verdict: store.Verified}
	d.setChannel(ack)
	first := d.deliver(l)
	both := d.incoming(l)
	both.Recipients = []string{"support@test.example", "sales@test.example"}
	results := d.take(both)
	if results[0].Outcome != OutcomeDuplicate || results[1].Outcome != OutcomeNew {
		t.Fatalf("got %+v", results)
	}
	view, err := d.Ticket(d.ctx, d.anna, results[1].Ticket)
	if err != nil || len(view.Links) != 1 || view.Links[0].Number != first.Ticket {
		t.Errorf("links %+v, %v", view.Links, err)
	}
	if rows, _ := d.deliveries(results[1].Ticket, store.MailAck); len(rows) != 0 {
		t.Error("a second acknowledgement")
	}
}

func TestTheSystemAccountNeverAnswers(t *testing.T) {
	d := newDesk(t)
	system := d.secondAccount("robot")
	system.Type, system.DefaultChannelID = store.AccountSystem, ""
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, system) })
	r := d.open()
	_, mails := d.deliveries(r.Ticket, store.MailNotification)
	if mails[0].From.Address != "robot@test.example" {
		t.Fatalf("the notification comes from %s", mails[0].From.Address)
	}
	d.deliver(letter{from: "anna@test.example", subject: "Re: x", to: []string{mails[0].ReplyTo}, verdict: store.Verified})
	if a := d.answer(r.Ticket, "hello"); a.From[0].Address != "support@test.example" {
		t.Errorf("the answer goes out from %s", a.From[0].Address)
	}
}

func TestAnOwnerWhoLeftBlocksNothing(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	if _, err := d.TakeOwnership(d.ctx, d.ivo, r.Ticket); err != nil {
		t.Fatal(err)
	}
	gone := *d.ivo
	gone.Active = false
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAgent(ctx, gone) })
	d.answer(r.Ticket, "hello")
	d.close(r.Ticket)
}

// Two who answer the same mail of somebody else have nothing to do with each
// other.
func TestSiblingsOfAForeignMailAreStrangers(t *testing.T) {
	d := newDesk(t)
	d.deliver(letter{from: "carla@ext.example", subject: "Re: News", header: "In-Reply-To: <news@list.example>\r\n"})
	if r := d.deliver(letter{from: "dave@other.example", subject: "Re: News", header: "In-Reply-To: <news@list.example>\r\n"}); r.Outcome != OutcomeNew {
		t.Errorf("the second reader: %+v", r)
	}
}

// The recipient forwards: the report names where to, and only the Message-ID
// tells which mail it is about.
func TestBounceOfAForwardedAnswer(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.answer(r.Ticket, "hello")
	rows, _ := d.deliveries(r.Ticket, store.MailAnswer)
	if got := d.take(bounceMail(d, "support@test.example", rows[0].MessageID, "elsewhere@third.example"))[0]; got.Outcome != OutcomeBounce {
		t.Errorf("got %+v", got)
	}
	if rows, _ = d.deliveries(r.Ticket, store.MailAnswer); rows[0].State != store.Failure {
		t.Errorf("ledger %+v", rows[0])
	}
}

func TestAnAccountWithAPlus(t *testing.T) {
	d := newDesk(t)
	d.account.Address, d.account.Key = "help+eu@test.example", "help+eu@test.example"
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, d.account) })
	r := d.open()
	d.answer(r.Ticket, "hello")
	_, mails := d.deliveries(r.Ticket, store.MailAnswer)
	if got := d.deliver(letter{from: "carla@ext.example", subject: "x", to: []string{mails[0].ReplyTo}}); got.MatchedBy != SignalEnvelopeToken {
		t.Errorf("to %s: %+v", mails[0].ReplyTo, got)
	}
}

func TestALookUpDoesNotOverruleAnAgent(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	answer := d.answer(r.Ticket, "?")
	in := d.incoming(letter{from: "carla@ext.example", subject: "re", header: "In-Reply-To: <" + answer.MessageID + ">\r\n", verdict: store.AuthError})
	d.take(in)
	d.now = d.now.AddDate(0, 0, 1)
	d.close(r.Ticket)
	d.recheckAs(in, store.Verified)
	if got := d.status(r.Ticket); got != statusClosed {
		t.Errorf("status %s, want what the agent set", got)
	}
}

func TestErrorHasNoMoreRightsThanFailed(t *testing.T) {
	d := newDesk(t)
	in := d.incoming(letter{from: "carla@ext.example", subject: "x", verdict: store.AuthError})
	r := d.take(in)[0]
	if d.activities(r.Ticket)[0].External {
		t.Error("shown outside while nobody knows who wrote it")
	}
	d.recheckAs(in, store.Verified)
	if !d.activities(r.Ticket)[0].External {
		t.Error("hidden although DNS answered")
	}
}

func TestAgentsMachinesDoNotPingPong(t *testing.T) {
	d := newDesk(t)
	d.agent("Bert", store.SubscriptionStandard)
	r := d.open()
	_, mails := d.deliveries(r.Ticket, store.MailNotification)
	before := len(d.told(r.Ticket))
	d.deliver(letter{from: "anna@test.example", subject: "away", to: []string{mails[0].ReplyTo}, verdict: store.Verified, header: "Auto-Submitted: auto-replied\r\n"})
	if got := d.told(r.Ticket)[before:]; len(got) != 0 {
		t.Errorf("told %v of a colleague's vacation", got)
	}
}

func TestMailThroughAListReopens(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.close(r.Ticket)
	d.deliver(letter{from: "carla@ext.example", subject: "[T#10001] still", header: "List-Id: <team.ext.example>\r\n"})
	if got := d.status(r.Ticket); got != statusInProgress {
		t.Errorf("status %s", got)
	}
}

func TestInternalTicketsTakeNoMediumEmail(t *testing.T) {
	d := newDesk(t)
	inside, err := d.CreateTicket(d.ctx, d.anna, NewTicket{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "Server", Text: "slow"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.AddActivity(d.ctx, d.anna, inside.Number, NewActivity{Type: store.TypeNote, Medium: store.MediumEmail, Text: "x"}); store.CodeOf(err) != store.CodeInvalid {
		t.Errorf("got %v", err)
	}
}

func TestWhoLosesATicketByItsMoveIsTold(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	if _, err := d.TakeOwnership(d.ctx, d.ivo, r.Ticket); err != nil {
		t.Fatal(err)
	}
	other := DefaultChannel("Backend", map[string]string{statusNew: d.statusID(statusNew)})
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutChannel(ctx, other) })
	before := len(d.told(r.Ticket))
	if _, err := d.PatchTicket(d.ctx, d.admin, r.Ticket, TicketPatch{ChannelID: &other.ID}); err != nil {
		t.Fatal(err)
	}
	if got := d.told(r.Ticket)[before:]; !slices.Equal(got, []string{"ivo@test.example"}) {
		t.Errorf("told %v, want the owner who lost it", got)
	}
}

func TestReferencesNameNoNotes(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	_, mails := d.deliveries(r.Ticket, store.MailNotification)
	d.deliver(letter{from: "anna@test.example", subject: "Re", id: "private@anna.example", to: []string{mails[0].ReplyTo}, verdict: store.Verified})
	d.answer(r.Ticket, "hello")
	_, mails = d.deliveries(r.Ticket, store.MailAnswer)
	if slices.Contains(mails[0].References, "private@anna.example") {
		t.Errorf("the customer sees %v", mails[0].References)
	}
}

func TestAnEnquiryKeepsItsRecipients(t *testing.T) {
	d := newDesk(t)
	call, err := d.CreateTicket(d.ctx, d.anna, NewTicket{
		Kind: store.KindEnquiry, ChannelID: d.channel.ID, Subject: "Call", Text: "She asks", To: []string{"office@ext.example"}, Cc: []string{"boss@ext.example"},
		Contact: &NewContact{ExternalID: "crm-7", Name: "Dora", Email: "dora@ext.example"},
	})
	if err != nil {
		t.Fatal(err)
	}
	a := d.answer(call.Number, "as promised")
	if a.To[0].Address != "office@ext.example" || len(a.Cc) != 1 || a.Cc[0].Address != "boss@ext.example" {
		t.Errorf("to %+v, cc %+v", a.To, a.Cc)
	}
	again, err := d.CreateTicket(d.ctx, d.anna, NewTicket{
		Kind: store.KindEnquiry, ChannelID: d.channel.ID, Subject: "Again", Text: "x", Contact: &NewContact{ExternalID: "crm-7", Phone: "1"},
	})
	if err != nil || again.ContactID != call.ContactID {
		t.Errorf("contact %s, %v; want %s, by its id in the CRM", again.ContactID, err, call.ContactID)
	}
}

func TestMergeBringsWhatWasSaid(t *testing.T) {
	d := newDesk(t)
	one, two := d.open(), d.open()
	answer := d.answer(one.Ticket, "hello")
	if _, err := d.Merge(d.ctx, d.anna, one.Ticket, two.Ticket); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, a := range d.activities(two.Ticket) {
		ids = append(ids, a.ID)
	}
	for _, id := range []string{one.ActivityID, two.ActivityID, answer.ID} {
		if !slices.Contains(ids, id) {
			t.Errorf("%s is not in the ticket that stays", id)
		}
	}
	view, err := d.Ticket(d.ctx, d.anna, one.Ticket)
	if err != nil || len(view.Links) != 1 || view.Links[0].Kind != store.LinkMergedInto || view.Links[0].Number != two.Ticket {
		t.Errorf("links %+v, %v", view.Links, err)
	}
	high := store.PriorityHigh
	if _, err := d.PatchTicket(d.ctx, d.anna, one.Ticket, TicketPatch{Priority: &high}); store.CodeOf(err) != store.CodeConflict {
		t.Errorf("a merged ticket is changed: %v", err)
	}
	if r := d.deliver(letter{from: "carla@ext.example", subject: "x", header: "In-Reply-To: <" + answer.MessageID + ">\r\n"}); r.Ticket != two.Ticket {
		t.Errorf("a reply to the moved answer goes to %d", r.Ticket)
	}
}

// What a mail of an agent's leaves and what is kept of it are the same HTML.
func TestNoScriptLeaves(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	if _, err := d.AddActivity(d.ctx, d.anna, r.Ticket, NewActivity{Type: store.TypeOutgoing, HTML: `<p>hi<script>x()</script><img src="https://img.example/a.png"></p>`}); err != nil {
		t.Fatal(err)
	}
	_, mails := d.deliveries(r.Ticket, store.MailAnswer)
	if strings.Contains(mails[0].HTML, "script") || !strings.Contains(mails[0].HTML, ` src="https://img.example/a.png"`) {
		t.Errorf("leaves as %s", mails[0].HTML)
	}
}

// A forged mail of an agent's makes no customer of him.
func TestNoContactOfAForgedAgent(t *testing.T) {
	d := newDesk(t)
	r := d.deliver(letter{from: "anna@test.example", subject: "x", verdict: store.Failed})
	if d.ticket(r.Ticket).ContactID != "" {
		t.Error("a contact was made")
	}
}
