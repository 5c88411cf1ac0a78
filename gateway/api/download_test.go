package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

// W02: a file is given to who is logged in and sees its ticket, by its whole
// address, and never by something in the address that stands for a log-in.
func TestW02FilesAreForThoseWhoSeeThem(t *testing.T) {
	f := newFixture(t)
	number, id := f.mailIn(customersMail)
	entry := f.ticketPath(number) + "/activities/" + id
	file := f.do("standard", "GET", entry, nil).json()["attachments"].([]any)[0].(m)["id"].(string)
	second, other := f.mailIn(strings.ReplaceAll(customersMail, "one@", "two@"))
	neighbour := f.do("standard", "GET", f.ticketPath(second)+"/activities/"+other, nil).json()["attachments"].([]any)[0].(m)["id"].(string)
	kept := f.upload("standard", "a.txt", "text").is(201).text("file_id")
	path := entry + "/attachments/" + file
	if h := f.do("standard", "GET", path, nil).is(200).Header(); !strings.Contains(h.Get("Cache-Control"), "no-store") {
		t.Errorf("a proxy may keep it: %v", h)
	}
	for _, at := range []string{path, path + "?inline=1", entry + "/raw", "/files/" + kept} {
		for who, status := range map[string]int{"nobody": 401, "expired": 401, "inactive": 401, "outsider": 404, "standard": 200} {
			f.do(who, "GET", at, nil).is(status)
		}
	}
	guess := file[:len(file)-1] + map[bool]string{true: "0", false: "1"}[file[len(file)-1] != '0']
	for _, at := range []string{
		entry + "/attachments/" + neighbour, entry + "/attachments/" + guess, entry + "/attachments/" + file[:8],
		entry + "/attachments/" + kept, entry + "/attachments/" + file + "%20", entry + "/attachments/..%2f" + file,
		f.ticketPath(second) + "/activities/" + id + "/attachments/" + file,
		f.ticketPath(second) + "/activities/" + other + "/attachments/" + file,
		f.ticketPath(second) + "/activities/" + id + "/raw", "/files/" + file, "/files/" + guess,
	} {
		f.do("standard", "GET", at, nil).is(404)
	}
}

// W02: what lets into a file ends with the log-in, and at once with the right to
// see the ticket.
func TestW02NothingOutlivesItsRight(t *testing.T) {
	f := newFixture(t)
	number, id := f.mailIn(customersMail)
	entry := f.ticketPath(number) + "/activities/" + id
	path := entry + "/attachments/" + f.do("standard", "GET", entry, nil).json()["attachments"].([]any)[0].(m)["id"].(string)
	events := f.do("standard", "POST", "/events/token", nil).is(201).text("token")
	for _, query := range []string{"?token=" + f.tokens["standard"], "?access_token=" + f.tokens["standard"], "?token=" + events} {
		f.do("nobody", "GET", path+query, nil).is(401)
	}
	f.do("nobody", "GET", path, nil, "Authorization", "Bearer "+events).is(401)
	short := f.do("standard", "POST", "/tokens", m{"name": "s", "expires_at": f.clock().Add(time.Minute)}).is(201).text("token")
	get := func() reply { return f.do("nobody", "GET", path, nil, "Authorization", "Bearer "+short) }
	get().is(200)
	f.advance(time.Minute)
	get().is(401)
	b := f.logIn("standard")
	b.do("GET", path, nil).is(200)
	f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteSubscription(ctx, f.channel, f.agents["standard"])
	}))
	b.do("GET", path, nil).is(404)
	b.do("POST", "/logout", nil).is(204)
	b.do("GET", path, nil).is(401)
}
