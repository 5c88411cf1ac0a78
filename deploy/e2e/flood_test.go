package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// T26: what a flood becomes, through the listener: one ticket for one subject,
// the rest where an admin sees it, and one alarm.
func TestT26AFloodThroughLMTP(t *testing.T) {
	n := newNode(t, "DNS_RESOLVER="+newCustomer(t).dns.Addr())
	n.apply(strings.Replace(quietDesk, "new_ticket_limit = 0", "new_ticket_limit = 3", 1))
	for i := range 20 {
		n.mustSend("new@late.example", plain("new@late.example", fmt.Sprintf("Disk %d%% full", i), fmt.Sprintf("disk%d@ext.example", i), "", "It is."))
		if i%4 == 0 {
			n.mustSend("new@late.example", plain("new@late.example", "Offer "+strings.Repeat("!", i), fmt.Sprintf("offer%d@ext.example", i), "", "Buy."))
		}
	}
	tickets, mails := n.tickets(), 0
	for _, one := range tickets {
		mails += len(n.activities(one.Number))
	}
	waiting := all[struct {
		Reason string `json:"reason"`
	}](n, "/quarantine")
	for _, q := range waiting {
		if q.Reason != "flood" {
			t.Errorf("a mail waits for %q", q.Reason)
		}
	}
	if len(tickets) != 3 || len(waiting) != 4 || mails != 21 {
		t.Errorf("25 mails became %d tickets with %d mails, and %d wait", len(tickets), mails, len(waiting))
	}
	if told := strings.Count(n.tail(1<<20), "new_ticket_limit allows"); told != 1 {
		t.Errorf("%d alarms", told)
	}
}
