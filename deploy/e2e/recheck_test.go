package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// stream reads the events of a node, as a console does, until the test ends.
func (n *node) stream() <-chan string {
	n.tb.Helper()
	request, err := http.NewRequestWithContext(n.tb.Context(), "GET", n.http+"/api/v1/events", nil)
	if err != nil {
		n.tb.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+n.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		n.tb.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		n.tb.Fatalf("events: %s", response.Status)
	}
	lines := make(chan string, 1000)
	go func() {
		defer response.Body.Close()
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			if data, ok := strings.CutPrefix(scanner.Text(), "data: "); ok {
				lines <- data
			}
		}
	}()
	return lines
}

// K08: while DNS gives no answer a mail is taken, with the rights of one that
// failed. Once DNS answers the verdict is put right, what was withheld is done,
// and whoever listens is told.
func TestK08AMailIsLookedUpAgain(t *testing.T) {
	for name, trouble := range map[string]func(*customer){
		"K08 SERVFAIL":  func(c *customer) { c.dns.Fail("*") },
		"K08 no answer": func(c *customer) { c.dns.Hang("*") },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCustomer(t)
			n := newNode(t, "DNS_RESOLVER="+c.dns.Addr(), "DNS_TIMEOUT=500ms", "DNS_RECHECK=200ms")
			n.apply(quietDesk)
			n.mustSend("carla@ext.example", c.sign(t, plain("carla@ext.example", "Printer", "first@ext.example", "", "It burns.")))
			number := single(t, n.tickets()).Number
			answer := n.answer(number, "Use water.")
			trouble(c)
			events := n.stream()
			n.mustSend("dave@late.example", plain("dave@late.example", "Printer", "second@late.example", "In-Reply-To: <"+answer.MessageID+">\r\n", "It does."))
			a := n.last(number)
			if a.Auth == nil || a.Auth.Verdict != "error" || n.status(number) != "Answered" {
				t.Fatalf("%s, %+v", n.status(number), a)
			}
			c.dns.Restore("*")
			within(t, 60*time.Second, "another verdict", func() bool { return n.last(number).Auth.Verdict == "unverified" })
			if n.last(number).ID != a.ID || n.status(number) != "In progress" {
				t.Errorf("what was withheld: %s", n.status(number))
			}
			limit := time.After(30 * time.Second)
			for {
				select {
				case data := <-events:
					if strings.Contains(data, `"activity.changed"`) && strings.Contains(data, a.ID) && strings.Contains(data, `"verdict":"unverified"`) {
						return
					}
				case <-limit:
					t.Fatal("nobody was told")
				}
			}
		})
	}
}

// last gives the newest activity of a ticket.
func (n *node) last(number int64) activity {
	n.tb.Helper()
	list := n.activities(number)
	return list[len(list)-1]
}

// status gives the name of a ticket's status.
func (n *node) status(number int64) string {
	n.tb.Helper()
	var t struct{ Status struct{ Name string } }
	n.call("GET", fmt.Sprintf("/tickets/%d", number), nil, &t)
	return t.Status.Name
}
