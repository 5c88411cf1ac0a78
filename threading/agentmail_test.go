package threading

import (
	"context"
	"slices"
	"strings"
	"testing"

	"ticketgate/store"
)

// notified gives the newest notification about a ticket to an agent.
func (d *desk) notified(number int64, agent *store.Agent) store.Mail {
	d.t.Helper()
	rows, mails := d.deliveries(number, store.MailNotification)
	for i := len(rows) - 1; i >= 0; i-- {
		if rows[i].Recipient == agent.Email {
			return mails[i]
		}
	}
	d.t.Fatalf("%s was told nothing of %d", agent.Name, number)
	return store.Mail{}
}

// reply is an agent's answer to a notification, as his mail program writes it.
func reply(from string, m store.Mail, body string) letter {
	return letter{
		from: from, subject: "Re: " + m.Subject, verdict: store.Verified, to: []string{"support@test.example"},
		header: "In-Reply-To: <" + m.MessageID + ">\r\n", body: body + "\r\n\r\nOn Sunday Support <support@test.example> wrote:\r\n> [reply above this line] Your reply goes to the customer; #note on its\r\n> first line keeps it a note.\r\n>\r\n> T#10001: new ticket\r\n> Hello\r\n",
	}
}

// noticed gives the reasons that an agent was told in the console.
func (d *desk) noticed(agent *store.Agent) string {
	d.t.Helper()
	var reasons []string
	for _, e := range d.events() {
		if e.Kind == store.EventAgentNotice && e.AgentID == agent.ID {
			reasons = append(reasons, e.Data.Reason)
		}
	}
	return strings.Join(reasons, " ")
}

func (d *desk) last(number int64) store.Activity {
	d.t.Helper()
	list := d.activities(number)
	return list[len(list)-1]
}

func TestAnAgentsAnswerGoesToTheCustomer(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	l := reply("Anna <anna@test.example>", d.notified(r.Ticket, d.anna), "Use water. Write to ANNA@test.example if it smokes.")
	l.id = "private@laptop.anna.example"
	sent := d.deliver(l)
	a := d.last(r.Ticket)
	if sent.Ticket != r.Ticket || a.ID != sent.ActivityID || a.Type != store.TypeOutgoing || a.Medium != store.MediumEmail || a.Sender != store.SenderAgent ||
		a.CreatedBy != d.anna.ID || a.Answers != r.ActivityID || !a.External {
		t.Fatalf("the activity: %+v", a)
	}
	rows, mails := d.deliveries(r.Ticket, store.MailAnswer)
	if len(rows) != 1 || rows[0].Recipient != "carla@ext.example" {
		t.Fatalf("deliveries: %+v", rows)
	}
	m := mails[0]
	if strings.TrimSpace(m.Text) != "Use water. Write to support@test.example if it smokes." {
		t.Errorf("text: %q", m.Text)
	}
	if m.From.Address != "support@test.example" || m.InReplyTo != "m1@ext.example" || m.Subject != "Re: [T#10001] Printer" {
		t.Errorf("mail: %+v", m)
	}
	whole := strings.ToLower(m.Text + m.HTML + m.ReplyTo + m.MessageID + strings.Join(m.References, " ") + m.From.Name + rows[0].ReturnPath)
	if strings.Contains(whole, "anna@") || strings.Contains(whole, "laptop") {
		t.Errorf("the agent's own address leaves: %q", whole)
	}
	if d.status(r.Ticket) != statusAnswered {
		t.Errorf("status: %s", d.status(r.Ticket))
	}
	d.view(func(ctx context.Context, tx *store.Tx) error {
		people, err := tx.Participants(ctx, r.Ticket)
		if slices.ContainsFunc(people, func(p store.Participant) bool { return p.Key == "anna@test.example" }) {
			t.Error("the agent is a participant")
		}
		return err
	})
	if back := d.deliver(letter{from: "carla@ext.example", subject: "thanks", header: "In-Reply-To: <" + m.MessageID + ">\r\n"}); back.Ticket != r.Ticket || back.MatchedBy != SignalToken {
		t.Errorf("the customer's reply: %+v", back)
	}
}

// The notification of an answer is answered to the customer as well.
func TestAnAgentsAnswerToAnAnswer(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	if _, err := d.AddActivity(d.ctx, d.admin, r.Ticket, NewActivity{Type: store.TypeOutgoing, Text: "first"}); err != nil {
		t.Fatal(err)
	}
	d.deliver(reply("anna@test.example", d.notified(r.Ticket, d.anna), "And one thing more."))
	if a := d.last(r.Ticket); a.Type != store.TypeOutgoing || a.To[0].Address != "carla@ext.example" {
		t.Errorf("%+v", a)
	}
}

func TestWhatOfAnAgentIsANote(t *testing.T) {
	for name, c := range map[string]func(d *desk, number int64) letter{
		"#note": func(d *desk, number int64) letter {
			return reply("anna@test.example", d.notified(number, d.anna), "#Note\r\nShe is important.")
		},
		"in answer to a note": func(d *desk, number int64) letter {
			if _, err := d.AddActivity(d.ctx, d.admin, number, NewActivity{Type: store.TypeNote, Text: "watch out"}); err != nil {
				d.t.Fatal(err)
			}
			return reply("anna@test.example", d.notified(number, d.anna), "She is important.")
		},
		"in answer to a change": func(d *desk, number int64) letter {
			if _, err := d.PatchTicket(d.ctx, d.admin, number, TicketPatch{OwnerID: &d.anna.ID}); err != nil {
				d.t.Fatal(err)
			}
			return reply("anna@test.example", d.notified(number, d.anna), "She is important.")
		},
		"in answer to a stranger": func(d *desk, number int64) letter {
			m := d.notified(number, d.anna)
			d.deliver(letter{from: "dave@other.example", subject: "me too", to: []string{m.ReplyTo}})
			return reply("anna@test.example", d.notified(number, d.anna), "She is important.")
		},
		"by the tag alone": func(*desk, int64) letter {
			return letter{from: "anna@test.example", subject: "[T#10001]", body: "She is important.", verdict: store.Verified}
		},
		"a machine's": func(d *desk, number int64) letter {
			l := reply("anna@test.example", d.notified(number, d.anna), "She is important.")
			l.header += "Auto-Submitted: auto-replied\r\n"
			return l
		},
		"with nothing newly written": func(d *desk, number int64) letter {
			return reply("anna@test.example", d.notified(number, d.anna), "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			r := d.open()
			got := d.deliver(c(d, r.Ticket))
			a := d.last(r.Ticket)
			if got.Ticket != r.Ticket || a.ID != got.ActivityID || a.Type != store.TypeNote || a.External || a.Sender != store.SenderAgent || a.CreatedBy != d.anna.ID {
				t.Errorf("%+v", a)
			}
			if strings.HasPrefix(strings.ToLower(a.Text), "#note") || strings.Contains(strings.ToLower(a.ReplyText), "#note") || name != "with nothing newly written" && !strings.Contains(a.ReplyText, "She is important.") {
				t.Errorf("text %q, reply text %q", a.Text, a.ReplyText)
			}
			if rows, _ := d.deliveries(r.Ticket, store.MailAnswer); len(rows) != 0 {
				t.Errorf("something went out: %+v", rows)
			}
			if d.status(r.Ticket) != statusNew {
				t.Errorf("status: %s", d.status(r.Ticket))
			}
		})
	}
}

func TestAnInternalTicketIsAnsweredByNotes(t *testing.T) {
	d := newDesk(t)
	inner, err := d.CreateTicket(d.ctx, d.admin, NewTicket{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "Ours", Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	d.deliver(reply("anna@test.example", d.notified(inner.Number, d.anna), "Fine with me."))
	if a := d.last(inner.Number); a.Type != store.TypeNote || a.Medium != store.MediumInternal {
		t.Errorf("%+v", a)
	}
}

// What can't be sent on is not lost: it is a note that says why.
func TestAnAgentsAnswerThatCannotLeave(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	m := d.notified(r.Ticket, d.anna)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		d.account.MaxMessageBytes = 10
		return tx.PutAccount(ctx, d.account)
	})
	d.deliver(reply("anna@test.example", m, "Use water."))
	a := d.last(r.Ticket)
	if told := d.noticed(d.anna); told != "not_sent" {
		t.Errorf("she is told %q", told)
	}
	if a.Type != store.TypeNote || !strings.HasPrefix(a.Comment, "It was not sent on: ") || !strings.Contains(a.Text, "Use water.") {
		t.Errorf("%+v", a)
	}
	if rows, _ := d.deliveries(r.Ticket, store.MailAnswer); len(rows) != 0 {
		t.Errorf("%+v", rows)
	}
}

// An agent's mail that comes a second time, under other headers, is not sent a
// second time.
func TestAnAgentsMailIsSentOnce(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	l := reply("anna@test.example", d.notified(r.Ticket, d.anna), "Use water.")
	l.id = "once@test.example"
	d.deliver(l)
	l.header += "X-Relayed: again\r\n"
	d.deliver(l)
	if rows, _ := d.deliveries(r.Ticket, store.MailAnswer); len(rows) != 1 {
		t.Errorf("%d answers", len(rows))
	}
}

// T03, T28: who lost access, was switched off or could not be verified acts as
// no agent and changes nothing.
func TestT28AgentsWithoutAccessChangeNothing(t *testing.T) {
	for name, c := range map[string]struct {
		before  func(d *desk)
		verdict store.Verdict
		told    string // the reason that she is told, in the console
	}{
		"T28 unsubscribed": {before: func(d *desk) {
			d.update(func(ctx context.Context, tx *store.Tx) error {
				return tx.DeleteSubscription(ctx, d.channel.ID, d.anna.ID)
			})
		}, verdict: store.Verified, told: "no_access"},
		"T28 switched off": {before: func(d *desk) {
			gone := *d.anna
			gone.Active = false
			d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAgent(ctx, gone) })
		}, verdict: store.Verified},
		"T03 forged":          {before: func(*desk) {}, verdict: store.Failed, told: "not_verified"},
		"T03 not yet checked": {before: func(*desk) {}, verdict: store.AuthError},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			r := d.open()
			l := reply("anna@test.example", d.notified(r.Ticket, d.anna), "Use water.")
			l.verdict = c.verdict
			d.close(r.Ticket)
			c.before(d)
			mails := len(d.told(r.Ticket))
			got := d.deliver(l)
			a := d.last(r.Ticket)
			if told := d.noticed(d.anna); told != c.told || len(d.told(r.Ticket)) != mails {
				t.Errorf("she is told %q, want %q; mails to %v", told, c.told, d.told(r.Ticket)[mails:])
			}
			if got.Ticket != r.Ticket || a.ID != got.ActivityID || a.Sender != store.SenderStranger || a.Type != store.TypeIncoming || a.External {
				t.Errorf("%+v", a)
			}
			if d.status(r.Ticket) != statusClosed {
				t.Errorf("status: %s", d.status(r.Ticket))
			}
			if rows, _ := d.deliveries(r.Ticket, store.MailAnswer); len(rows) != 0 {
				t.Errorf("something went out: %+v", rows)
			}
		})
	}
}

// An agent who is a customer of a channel that he does not see may write there
// as one.
func TestAnAgentAsACustomer(t *testing.T) {
	d := newDesk(t)
	r := d.deliver(letter{from: "otto@test.example", subject: "My screen", verdict: store.Verified})
	got := d.deliver(letter{from: "otto@test.example", subject: "Re: [T#10001] My screen", verdict: store.Verified})
	if got.Ticket != r.Ticket || got.Outcome != OutcomeAppend || d.last(r.Ticket).Sender != store.SenderParticipant {
		t.Errorf("%+v, %+v", got, d.last(r.Ticket))
	}
}

// An agent's mail whose DNS look-up failed at first does what it asks for as
// soon as it is known to be his.
func TestK08AnAgentsMailIsSentOnceItIsVerified(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	l := reply("anna@test.example", d.notified(r.Ticket, d.anna), "Use water.")
	l.verdict = store.AuthError
	in := d.incoming(l)
	got := d.take(in)[0]
	if rows, _ := d.deliveries(r.Ticket, store.MailAnswer); len(rows) != 0 {
		t.Fatal("sent before anybody knew whose it is")
	}
	in.Auth = store.Auth{Verdict: store.Verified}
	if err := d.Rechecked(d.ctx, store.Recheck{ID: got.ActivityID}, in); err != nil {
		t.Fatal(err)
	}
	rows, mails := d.deliveries(r.Ticket, store.MailAnswer)
	a := d.last(r.Ticket)
	if len(rows) != 1 || strings.TrimSpace(mails[0].Text) != "Use water." || a.ID != got.ActivityID || a.Type != store.TypeOutgoing || a.Auth.Verdict != store.Verified {
		t.Errorf("%+v, %+v", rows, a)
	}
}

func TestAnAgentFilesACustomersMail(t *testing.T) {
	d := newDesk(t)
	l := letter{
		from: "Anna <anna@test.example>", subject: "Fwd: Invoice", verdict: store.Verified,
		header: "Cc: ivo@test.example\r\nReferences: <original@new.example>\r\n",
		body:   "#from: Nora New <nora@new.example>\r\n\r\n-------- Forwarded --------\r\nSubject: Invoice\r\nFrom: Nora New <nora@new.example>\r\n\r\nWhere is it?",
	}
	r := d.deliver(l)
	ticket, a := d.ticket(r.Ticket), d.last(r.Ticket)
	if r.Outcome != OutcomeNew || ticket.Subject != "Invoice" || ticket.CreatedBy != d.anna.ID || ticket.ContactID == "" {
		t.Errorf("%+v", ticket)
	}
	if a.Author.Kind != store.AuthorContact || a.Author.Address != "nora@new.example" || a.From[0].Address != "nora@new.example" || a.CreatedBy != d.anna.ID ||
		a.Sender != store.SenderParticipant || strings.Contains(a.Text, "#from") || !strings.Contains(a.ReplyText, "Where is it?") {
		t.Errorf("%+v", a)
	}
	if told := d.told(r.Ticket); len(told) != 0 { // only Anna subscribes, and she did it
		t.Errorf("told %v", told)
	}
	sent := d.answer(r.Ticket, "Here.")
	if len(sent.To) != 1 || sent.To[0].Address != "nora@new.example" || len(sent.Cc) != 0 {
		t.Errorf("the answer goes to %+v, %+v", sent.To, sent.Cc)
	}
	if more := d.deliver(letter{from: "nora@new.example", subject: "Invoice", header: "In-Reply-To: <original@new.example>\r\n"}); more.Ticket != r.Ticket {
		t.Errorf("her own reply to the mail that was forwarded: %+v", more)
	}
}

// Only an agent, verified, files for others; and for customers alone.
func TestWhoFilesForNobody(t *testing.T) {
	for name, l := range map[string]letter{
		"a customer":          {from: "dave@other.example", body: "#from: nora@new.example\r\nx", verdict: store.Verified},
		"a forged agent":      {from: "anna@test.example", body: "#from: nora@new.example\r\nx", verdict: store.Failed},
		"for no address":      {from: "anna@test.example", body: "#from: nora\r\nx", verdict: store.Verified},
		"for a colleague":     {from: "anna@test.example", body: "#from: ivo@test.example\r\nx", verdict: store.Verified},
		"for ourselves":       {from: "anna@test.example", body: "#from: support@test.example\r\nx", verdict: store.Verified},
		"for two":             {from: "anna@test.example", body: "#from: a@x.example, b@x.example\r\nx", verdict: store.Verified},
		"not on the first":    {from: "anna@test.example", body: "hello\r\n#from: nora@new.example\r\nx", verdict: store.Verified},
		"a word that goes on": {from: "anna@test.example", body: "#fromage: nora@new.example\r\nx", verdict: store.Verified},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			l.subject = "x"
			r := d.deliver(l)
			a := d.last(r.Ticket)
			if a.CreatedBy != "" || a.Author.Address != l.from || !strings.Contains(a.Text, "#from") {
				t.Errorf("%+v", a)
			}
		})
	}
}
