package api_test

import (
	"strings"
	"testing"

	"ticketgate/store"
)

// A query that can't be read is refused: without the part that is wrong it would
// ask for something else.
func TestAQueryThatCantBeReadIsRefused(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	for _, query := range []string{"open=true;list=my", "status_id=%zz", "%", "a=%f"} {
		f.do("standard", "GET", "/tickets?"+query, nil).is(400)
		f.do("standard", "GET", "/tickets/export.csv?"+query, nil).is(400)
		f.do("standard", "POST", "/contacts?"+query, m{"name": "x"}).is(400)
		f.do("admin", "DELETE", "/contacts/"+store.NewID()+"?"+query, nil).is(404)
		f.do("nobody", "GET", "/tickets?"+query, nil).is(401)
	}
	contact := f.do("standard", "GET", f.ticketPath(number), nil).json()["contact"].(m)["id"].(string)
	f.do("admin", "DELETE", "/contacts/"+contact+"?erase=true;", nil).is(400)
}

// A merged ticket is refused (409) behind what is wrong in itself (422), and
// before the version (412).
func TestRefusalsOfAMergedTicketHaveTheirOrder(t *testing.T) {
	f := newFixture(t)
	into, _ := f.mailIn(customersMail)
	number, _ := f.mailIn(strings.ReplaceAll(customersMail, "one@", "two@"))
	f.do("standard", "POST", f.ticketPath(number)+"/merge", m{"into": into}).is(200)
	for _, c := range []struct {
		change m
		status int
	}{
		{m{"status_id": "none"}, 422}, {m{"owner_id": f.agents["outsider"]}, 422}, {m{"contact_id": "none"}, 422}, {m{"fields": m{"none": 1}}, 422},
		{m{"priority": "high"}, 409}, {m{}, 409},
	} {
		f.do("standard", "PATCH", f.ticketPath(number), c.change, "If-Match", `"999"`).is(c.status)
	}
}
