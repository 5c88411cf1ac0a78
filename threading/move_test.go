package threading

import (
	"slices"
	"testing"

	"ticketgate/store"
)

// move moves the activity of a ticket and wants it moved; 0 is a new ticket.
func (d *desk) move(from int64, id string, to int64) store.Activity {
	d.t.Helper()
	a, err := d.MoveActivity(d.ctx, d.anna, from, id, to)
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

// secondMatter opens a ticket, answers it, and takes a reply to that about
// another matter; it gives the answer's mail and the reply's activity.
func (d *desk) secondMatter() (ticket int64, answer store.Mail, reply Result) {
	d.t.Helper()
	ticket = d.open().Ticket
	d.answer(ticket, "Use water.")
	_, mails := d.deliveries(ticket, store.MailAnswer)
	reply = d.deliver(letter{
		from: "carla@ext.example", subject: mails[0].Subject, id: "second@ext.example", to: []string{mails[0].ReplyTo},
		header: "In-Reply-To: <" + mails[0].MessageID + ">\r\n", body: "By the way, the door squeaks.",
	})
	if reply.Ticket != ticket {
		d.t.Fatalf("the reply: %+v", reply)
	}
	return ticket, mails[0], reply
}

func TestMoveIsRemembered(t *testing.T) {
	d := newDesk(t)
	old, answer, reply := d.secondMatter()
	moved := d.move(old, reply.ActivityID, 0)
	fresh := d.ticket(moved.Ticket)
	if fresh.Number == old || fresh.ContactID != d.ticket(old).ContactID || fresh.Subject != "Printer" || fresh.ChannelID != d.channel.ID {
		t.Fatalf("the new ticket: %+v", fresh)
	}
	follow := letter{
		from: "carla@ext.example", subject: answer.Subject, to: []string{answer.ReplyTo},
		header: "In-Reply-To: <second@ext.example>\r\nReferences: <" + answer.MessageID + "> <second@ext.example>\r\n",
	}
	if r := d.deliver(follow); r.Ticket != fresh.Number || r.Outcome != OutcomeAppend {
		t.Errorf("with tag and tokens of the old ticket, in answer to what was moved: %+v, want it in %d", r, fresh.Number)
	}
	if r := d.deliver(letter{from: "carla@ext.example", subject: answer.Subject, header: "In-Reply-To: <" + answer.MessageID + ">\r\n"}); r.Ticket != old {
		t.Errorf("in answer to what was not moved: %+v, want it in %d", r, old)
	}
	follow.from = "mallory@evil.example"
	if r := d.deliver(follow); r.Outcome != OutcomeHold || d.ticket(r.Ticket).SuggestedTicket != fresh.Number {
		t.Errorf("a stranger's: %+v", r)
	}
	explained, err := d.Explain(d.ctx, d.incoming(follow))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(explained.Match.Signals, func(s store.Signal) bool { return s.Why == "an agent moved the thread to T#10002" }) {
		t.Errorf("explain does not say why: %+v", explained.Match.Signals)
	}
}

func TestMoveIsUndone(t *testing.T) {
	d := newDesk(t)
	old, answer, reply := d.secondMatter()
	moved := d.move(old, reply.ActivityID, 0)
	d.answer(moved.Ticket, "It will be oiled.")
	back := d.move(moved.Ticket, reply.ActivityID, old)
	if back.Ticket != old || len(back.Moved) != 0 {
		t.Fatalf("after the undoing: %+v", back)
	}
	if d.ticket(moved.Ticket).MergedInto != 0 {
		t.Error("a ticket that holds an answer was given up")
	}
	r := d.deliver(letter{from: "carla@ext.example", subject: answer.Subject, header: "In-Reply-To: <second@ext.example>\r\n"})
	if r.Ticket != old {
		t.Errorf("later mail of the thread: %+v, want it in %d", r, old)
	}
}

// What is left empty leads on, and is a ticket again when the move is undone.
func TestMoveLeavesNoEmptyTicket(t *testing.T) {
	d := newDesk(t)
	first, second := d.open(), d.open()
	d.move(second.Ticket, second.ActivityID, first.Ticket)
	if d.ticket(second.Ticket).MergedInto != first.Ticket {
		t.Fatal("the empty ticket leads nowhere")
	}
	if r := d.deliver(letter{from: "carla@ext.example", subject: "[T#10002] more"}); r.Ticket != first.Ticket {
		t.Errorf("mail with its number: %+v", r)
	}
	d.move(first.Ticket, second.ActivityID, second.Ticket)
	again := d.ticket(second.Ticket)
	if again.MergedInto != 0 || !again.ClosedAt.IsZero() {
		t.Errorf("after the undoing: %+v", again)
	}
	view, err := d.Ticket(d.ctx, d.anna, second.Ticket)
	if err != nil || len(view.Links) != 0 {
		t.Errorf("links %+v, %v", view.Links, err)
	}
	if r := d.deliver(letter{from: "carla@ext.example", subject: "[T#10002] more"}); r.Ticket != second.Ticket {
		t.Errorf("mail with its number after the undoing: %+v", r)
	}
}

// A stranger's mail that is moved makes him no participant.
func TestAMovedStrangerStaysOne(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	held := d.deliver(letter{from: "dave@other.example", subject: "[T#10001] hello", id: "held@other.example"})
	d.move(held.Ticket, held.ActivityID, r.Ticket)
	if again := d.deliver(letter{from: "dave@other.example", subject: "[T#10001] again"}); again.Outcome != OutcomeHold {
		t.Errorf("after his mail was moved in: %+v", again)
	}
}

func TestMoveTakesTheAnswersBounce(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	sent := d.answer(r.Ticket, "hello")
	moved := d.move(r.Ticket, sent.ID, 0)
	rows, _ := d.deliveries(moved.Ticket, store.MailAnswer)
	if len(rows) != 1 || rows[0].Ticket != moved.Ticket {
		t.Errorf("its deliveries: %+v", rows)
	}
}

func TestWhatDoesNotMove(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	inner, err := d.CreateTicket(d.ctx, d.anna, NewTicket{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "Ours", Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	d.close(r.Ticket)
	change := d.activities(r.Ticket)[1]
	for name, c := range map[string]struct {
		agent *store.Agent
		from  int64
		id    string
		to    int64
		code  store.Code
	}{
		"a change":                 {d.anna, r.Ticket, change.ID, 0, store.CodeConflict},
		"into an internal ticket":  {d.anna, r.Ticket, r.ActivityID, inner.Number, store.CodeConflict},
		"to where it is":           {d.anna, r.Ticket, r.ActivityID, r.Ticket, store.CodeInvalid},
		"to nowhere":               {d.anna, r.Ticket, r.ActivityID, 99999, store.CodeInvalid},
		"by one who sees it not":   {d.otto, r.Ticket, r.ActivityID, 0, store.CodeNotFound},
		"from a ticket of another": {d.anna, inner.Number, r.ActivityID, 0, store.CodeNotFound},
	} {
		if _, err := d.MoveActivity(d.ctx, c.agent, c.from, c.id, c.to); store.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if len(d.activities(inner.Number)) != 1 {
		t.Error("something moved all the same")
	}
}

// A mail without an author moves like any other.
func TestMoveOfAMailOfNobody(t *testing.T) {
	d := newDesk(t)
	raw := "To: \nSubject: x\n\nHello\n"
	r := d.take(d.rawMail(raw, "support@test.example", store.Unverified))[0]
	moved := d.move(r.Ticket, r.ActivityID, 0)
	if moved.Ticket == r.Ticket || moved.ID != r.ActivityID {
		t.Errorf("%+v", moved)
	}
}
