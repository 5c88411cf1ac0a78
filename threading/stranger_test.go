package threading

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ticketgate/store"
)

// Whatever a stranger writes, without a token it is never appended to another's
// ticket, changes nothing there, and brings nobody among those who get answers.
func TestNothingOfAStrangerGetsIn(t *testing.T) {
	d := newDesk(t)
	first := d.deliver(letter{from: "Carla <carla@ext.example>", subject: "Printer", id: "first@ext.example", header: "References: <unseen@ext.example>\r\n"})
	answer := d.answer(first.Ticket, "Use water.")
	d.close(first.Ticket)
	want := d.activities(first.Ticket)
	bent := []byte(answer.MessageID) // one character of its token is another
	if bent[3]++; bent[3] > 'z' || bent[3] < 'a' && bent[3] > '7' {
		bent[3] = 'a'
	}
	forged := d.tokens.Activity(store.NewID())
	pick := func(rt *rapid.T, label string, of ...string) string { return rapid.SampledFrom(of).Draw(rt, label) }
	rapid.Check(t, func(rt *rapid.T) {
		tag := pick(rt, "tag", "", "[T#10001] ", "T#10001 ", "[ t # 10001 ] ", "[10001] ", "答复: [T#10001] ", "[X#10001] ")
		id := pick(rt, "id", "<first@ext.example>", "<unseen@ext.example>", "<"+forged+".1@test.example>", "<FIRST@ext.example>", "<a@b.example>",
			"<"+string(bent)+">")
		l := letter{
			from:    pick(rt, "from", "mallory@evil.example", "Carla <mallory@evil.example>", `"carla@ext.example" <mallory@evil.example>`, "carla@ext.example, mallory@evil.example", `<"carla@ext.example"@evil.example>`, "carla@ext.example.evil.example", "carla@еxt.example"),
			subject: tag + pick(rt, "subject", "Printer", "Re: Printer", ""),
			body:    pick(rt, "body", "Hello", "#note", "#from: carla@ext.example", "[T#10001]"),
			verdict: store.Verdict(pick(rt, "verdict", "verified", "unverified", "failed", "error")),
			header: pick(rt, "field", "In-Reply-To: ", "References: ", "X-Nothing: ") + id + "\r\n" +
				pick(rt, "more", "", "Cc: carla@ext.example, eve@evil.example\r\n", "Reply-To: eve@evil.example\r\n", "Sender: carla@ext.example\r\n", "Resent-From: carla@ext.example\r\n", "Auto-Submitted: auto-replied\r\n", "X-Ticketgate-Loop: 1.aaaa\r\n"),
			envelope: pick(rt, "envelope", "", "-"),
			to:       []string{pick(rt, "to", "support@test.example", "support+"+forged[:44]+"b@test.example", "support+b-"+forged+"@test.example", "SUPPORT@TEST.example")},
		}
		if r := d.deliver(l); r.Ticket == first.Ticket {
			rt.Fatalf("%+v was filed in the ticket: %+v", l, r)
		}
	})
	if got := d.activities(first.Ticket); len(got) != len(want) || d.status(first.Ticket) != statusClosed {
		t.Errorf("%d activities, were %d; %s", len(got), len(want), d.status(first.Ticket))
	}
	view, err := d.Ticket(d.ctx, d.anna, first.Ticket)
	if err != nil || slices.ContainsFunc(view.Participants, func(p store.Participant) bool { return p.Key != "carla@ext.example" }) {
		t.Errorf("participants %+v, %v", view.Participants, err)
	}
	next := d.answer(first.Ticket, "And?")
	if fmt.Sprint(next.To, next.Cc) != fmt.Sprint([]store.Address{{Name: "Carla", Address: "carla@ext.example"}}, []store.Address(nil)) {
		t.Errorf("the next answer goes to %v, %v", next.To, next.Cc)
	}
}
