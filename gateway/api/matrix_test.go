package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/gateway/api"
)

// The people of the matrix, in the order of its columns.
var people = []string{"nobody", "expired", "inactive", "outsider", "informal", "standard", "admin"}

// The kinds of rule. The first three columns are 401 in all but one.
const (
	everyone = "401 401 401 200 200 200 200" // what every agent may do or read
	seen     = "401 401 401 404 200 200 200" // below a ticket of a channel
	admins   = "401 401 401 403 403 403 200"
	anybody  = "200 200 200 200 200 200 200" // who isn't logged in
	own      = "401 401 401 404 404 404 200" // the admin's own
)

// matrix says who may do what; a route without an entry fails the test. A
// request carries an empty body, so 200 stands for whatever comes after the
// gates of 401, 404 and 403.
var matrix = map[string]string{
	"POST /login":              anybody,
	"POST /login/link":         anybody,
	"GET /login/oidc":          anybody,
	"GET /login/oidc/callback": anybody,
	"POST /logout":             everyone,
	"GET /sessions":            everyone,
	"DELETE /sessions/{id}":    own,
	"POST /me/password":        everyone,
	"GET /me/totp":             everyone,
	"POST /me/totp":            everyone,
	"POST /me/totp/confirm":    everyone,
	"POST /me/totp/remove":     everyone,
	"DELETE /agents/{id}/totp": admins,
	"POST /agents/{id}/invite": admins,
	"POST /events/token":       everyone,
	"GET /audit":               admins,

	"GET /me":                                                  everyone,
	"GET /tickets":                                             everyone,
	"POST /tickets":                                            everyone,
	"GET /tickets/counts":                                      everyone,
	"GET /activities":                                          everyone,
	"GET /tickets/export.csv":                                  everyone,
	"GET /views":                                               everyone,
	"POST /views":                                              everyone,
	"GET /views/{id}":                                          own,
	"PATCH /views/{id}":                                        own,
	"DELETE /views/{id}":                                       own,
	"POST /tickets/bulk":                                       everyone,
	"GET /tickets/{number}":                                    seen,
	"PATCH /tickets/{number}":                                  seen,
	"POST /tickets/{number}/merge":                             seen,
	"POST /tickets/{number}/take":                              seen,
	"POST /tickets/{number}/confirm":                           seen,
	"POST /tickets/{number}/dismiss":                           seen,
	"GET /tickets/{number}/activities":                         seen,
	"POST /tickets/{number}/activities":                        seen,
	"GET /tickets/{number}/activities/{id}":                    seen,
	"PATCH /tickets/{number}/activities/{id}":                  seen,
	"POST /tickets/{number}/activities/{id}/move":              seen,
	"GET /tickets/{number}/activities/{id}/raw":                seen,
	"GET /tickets/{number}/activities/{id}/deliveries":         seen,
	"GET /tickets/{number}/activities/{id}/attachments/{file}": seen,
	"DELETE /tickets/{number}/activities/{id}":                 seen,
	"POST /tickets/{number}/activities/{id}/split":             seen,
	"GET /drafts/{id}":                                         "401 401 401 404 404 404 200", // the admin's own
	"PATCH /drafts/{id}":                                       "401 401 401 404 404 404 200",
	"DELETE /drafts/{id}":                                      "401 401 401 404 404 404 200",
	"POST /drafts/{id}/send":                                   "401 401 401 404 404 404 200",
	"POST /files":                                              everyone,
	"GET /files/{id}":                                          "401 401 401 404 404 404 200",
	"DELETE /files/{id}":                                       "401 401 401 404 404 404 200",
	"POST /messages":                                           everyone,
	"GET /tickets/{number}/watchers":                           seen,
	"POST /tickets/{number}/watchers":                          seen,
	"DELETE /tickets/{number}/watchers/{agent_id}":             "401 401 401 404 200 404 200", // the first one ends it
	"PATCH /me":                                                everyone,
	"GET /channels":                                            everyone,
	"POST /channels":                                           admins,
	"GET /channels/{id}":                                       everyone,
	"PATCH /channels/{id}":                                     admins,
	"DELETE /channels/{id}":                                    admins,
	"GET /channels/{id}/subscriptions":                         everyone,
	"POST /channels/{id}/subscriptions":                        admins,
	"DELETE /channels/{id}/subscriptions/{agent_id}":           admins,
	"GET /statuses":                                            everyone,
	"POST /statuses":                                           admins,
	"GET /statuses/{id}":                                       everyone,
	"PATCH /statuses/{id}":                                     admins,
	"DELETE /statuses/{id}":                                    admins,
	"GET /markers":                                             everyone,
	"POST /markers":                                            admins,
	"GET /markers/{id}":                                        everyone,
	"PATCH /markers/{id}":                                      admins,
	"DELETE /markers/{id}":                                     admins,
	"GET /tickets/{number}/times":                              seen,
	"POST /tickets/{number}/times":                             seen,
	"PATCH /tickets/{number}/times/{id}":                       "401 401 401 404 403 403 200", // the admin's own
	"DELETE /tickets/{number}/times/{id}":                      "401 401 401 404 403 403 200",
	"GET /companies/{id}/times":                                everyone,
	"GET /tickets/{number}/files":                              seen,
	"POST /tickets/{number}/files":                             seen,
	"DELETE /tickets/{number}/files/{id}":                      "401 401 401 404 200 404 200", // the first one hides it
	"POST /tickets/{number}/activities/{id}/hide":              seen,
	"POST /tickets/{number}/links":                             seen,
	"DELETE /tickets/{number}/links/{other}":                   seen,
	"GET /rules":                                               admins,
	"POST /rules":                                              admins,
	"POST /rules/try":                                          admins,
	"GET /rules/{id}":                                          admins,
	"PATCH /rules/{id}":                                        admins,
	"DELETE /rules/{id}":                                       admins,
	"GET /reports/tickets":                                     everyone,
	"GET /calendars":                                           everyone,
	"POST /calendars":                                          admins,
	"GET /calendars/{id}":                                      everyone,
	"PATCH /calendars/{id}":                                    admins,
	"DELETE /calendars/{id}":                                   admins,
	"GET /service-levels":                                      everyone,
	"POST /service-levels":                                     admins,
	"GET /service-levels/{id}":                                 everyone,
	"PATCH /service-levels/{id}":                               admins,
	"DELETE /service-levels/{id}":                              admins,
	"GET /tickets/{number}/alarms":                             seen,
	"POST /tickets/{number}/alarms":                            seen,
	"PATCH /tickets/{number}/alarms/{id}":                      seen,
	"DELETE /tickets/{number}/alarms/{id}":                     "401 401 401 404 200 404 200", // the first one takes it away
	"GET /custom-fields":                                       everyone,
	"POST /custom-fields":                                      admins,
	"GET /custom-fields/{id}":                                  everyone,
	"PATCH /custom-fields/{id}":                                admins,
	"DELETE /custom-fields/{id}":                               admins,
	"GET /templates":                                           everyone,
	"POST /templates":                                          admins,
	"GET /templates/{id}":                                      everyone,
	"PATCH /templates/{id}":                                    admins,
	"DELETE /templates/{id}":                                   admins,
	"GET /tickets/{number}/templates/{id}":                     seen,
	"GET /mail-accounts":                                       everyone,
	"POST /mail-accounts":                                      admins,
	"GET /mail-accounts/{id}":                                  everyone,
	"PATCH /mail-accounts/{id}":                                admins,
	"DELETE /mail-accounts/{id}":                               admins,
	"GET /agents":                                              everyone,
	"POST /agents":                                             admins,
	"GET /agents/{id}":                                         everyone,
	"PATCH /agents/{id}":                                       admins,
	"DELETE /agents/{id}":                                      admins,
	"GET /contacts":                                            everyone,
	"POST /contacts":                                           everyone,
	"GET /contacts/{id}":                                       everyone,
	"PATCH /contacts/{id}":                                     everyone,
	"DELETE /contacts/{id}":                                    admins,
	"GET /contacts/{id}/export":                                admins,
	"GET /erasures":                                            admins,
	"POST /contacts/import":                                    admins,
	"POST /contacts/{id}/merge":                                everyone,
	"GET /companies":                                           everyone,
	"POST /companies":                                          everyone,
	"GET /companies/{id}":                                      everyone,
	"PATCH /companies/{id}":                                    everyone,
	"DELETE /companies/{id}":                                   admins,
	"GET /tokens":                                              everyone,
	"POST /tokens":                                             everyone,
	"DELETE /tokens/{id}":                                      "401 401 401 404 404 404 200", // the admin's own
	"GET /dkim-keys":                                           admins,
	"POST /dkim-keys":                                          admins,
	"GET /dkim-keys/{id}":                                      admins,
	"POST /dkim-keys/{id}/activate":                            admins,
	"POST /dkim-keys/{id}/retire":                              admins,
	"DELETE /dkim-keys/{id}":                                   admins,
	"GET /webhooks":                                            admins,
	"POST /webhooks":                                           admins,
	"GET /webhooks/{id}":                                       admins,
	"PATCH /webhooks/{id}":                                     admins,
	"DELETE /webhooks/{id}":                                    admins,
	"POST /webhooks/{id}/rotate":                               admins,
	"POST /webhooks/{id}/test":                                 admins,
	"GET /webhooks/{id}/deliveries":                            admins,
	"POST /webhooks/{id}/deliveries/{delivery_id}/retry":       admins,
	"GET /deliveries":                                          everyone,
	"GET /deliveries/{id}":                                     seen,
	"POST /deliveries/{id}/retry":                              seen,
	"POST /deliveries/{id}/hold":                               seen,
	"POST /deliveries/{id}/release":                            seen,
	"POST /deliveries/{id}/cancel":                             seen,
	"GET /quarantine":                                          admins,
	"GET /quarantine/{id}":                                     admins,
	"GET /quarantine/{id}/raw":                                 admins,
	"POST /quarantine/{id}/release":                            admins,
	"POST /quarantine/{id}/delete":                             admins,
	"POST /explain":                                            everyone,
	"GET /events":                                              everyone,
}

// W04: every route for everybody. A route that nobody has entered fails.
func TestW04EveryRouteForEverybody(t *testing.T) {
	f := newFixture(t)
	f.serveOIDC(testbed.OIDC(t))
	w := f.world()
	f.tokens[reader] = f.do("standard", "POST", "/tokens", m{"name": "r", "scopes": []string{"read"}}).is(201).text("token")
	routes := f.routes()
	table := visibility{}
	for _, route := range routes {
		want, ok := matrix[route]
		if !ok {
			t.Errorf("%s has no entry in the matrix", route)
			continue
		}
		method, path, _ := strings.Cut(route, " ")
		if deletes(route) {
			continue // below: a deletion that succeeds changes the world
		}
		for i, who := range people {
			table.note(route, f.expect(who, method, w.fill(path), strings.Fields(want)[i]))
		}
		table.note(route, f.expect(reader, method, w.fill(path), ofReader(method, strings.Fields(want))))
		f.expect("admin", method, w.fillWith(path, "01a20526-0000-7000-8000-000000000000", "99999"),
			map[bool]string{true: "404", false: "200"}[strings.Contains(path, "{")])
	}
	for _, route := range routes {
		if method, path, _ := strings.Cut(route, " "); deletes(route) {
			for i, who := range people[:len(people)-1] {
				table.note(route, f.expect(who, method, w.fill(path), strings.Fields(matrix[route])[i]))
			}
			table.note(route, "-") // the admin
			table.note(route, f.expect(reader, method, w.fill(path), ofReader(method, strings.Fields(matrix[route]))))
		}
	}
	table.check(t)
	if len(matrix) != len(routes) {
		t.Errorf("the matrix has %d entries for %d routes", len(matrix), len(routes))
	}
}

// reader is a token of standard's that may only read. It has the last column of
// the table of answers.
const reader = "reader"

// ofReader gives what such a token is answered where standard is answered so.
func ofReader(method string, want []string) string {
	standard := want[slices.Index(people, "standard")]
	if method == "GET" || standard != "200" || want[0] == "200" {
		return standard
	}
	return "403"
}

// deletes tells what takes its thing away when it succeeds.
func deletes(route string) bool {
	return strings.HasPrefix(route, "DELETE ") || strings.HasPrefix(route, "POST /quarantine/") || strings.HasSuffix(route, "/hide")
}

// expect sends an empty request. 200 stands for every answer but the refusals
// of the matrix. It gives what the answer was.
func (f *fixture) expect(who, method, path, want string) string {
	f.t.Helper()
	var body any
	if method != "GET" && method != "DELETE" {
		body = "" // of the right type, and empty
	}
	r := f.do(who, method, path, body)
	got := fmt.Sprint(r.Code)
	if r.Code >= 500 {
		f.t.Errorf("%s: %s %s: %d %s", who, method, path, r.Code, r.Body)
	}
	if want == "200" && r.Code != 401 && r.Code != 403 && r.Code != 404 {
		return got
	}
	if got != want {
		f.t.Errorf("%s: %s %s: got %s, want %s: %s", who, method, path, got, want, r.Body)
	}
	if r.Code == 401 && r.Header().Get("WWW-Authenticate") == "" {
		f.t.Errorf("%s: %s %s: a 401 that doesn't say how to log in", who, method, path)
	}
	return got
}

// world is one thing of each kind, in the channel Support.
type world map[string]string

func (f *fixture) world() world {
	f.t.Helper()
	number, incoming := f.mailIn(customersMail)
	activities := f.ticketPath(number) + "/activities"
	file := f.do("admin", "GET", activities+"/"+incoming, nil).is(200).json()["attachments"].([]any)[0].(m)["id"].(string)
	answer := f.do("admin", "POST", activities, m{"type": "outgoing", "text": "t"}).is(201).text("id")
	delivery := f.do("admin", "GET", activities+"/"+answer+"/deliveries", nil).items()[0]["id"].(string)
	status := f.do("admin", "POST", "/statuses", m{"name": "Unused"}).is(201).text("id")
	f.do("admin", "PATCH", "/channels/"+f.channel, m{"require_dkim": "quarantine"}).is(200)
	f.service.Take(f.ctx, f.incoming(strangersMail))
	f.do("admin", "POST", f.ticketPath(number)+"/watchers", m{"agent_id": f.agents["standard"]}).is(201)
	kept := f.do("admin", "POST", f.ticketPath(number)+"/files", m{"name": "a.txt", "content": "YQ=="}).is(201).text("id")
	f.setTOTP("informal")
	hook, message := f.toldWebhook()
	level := f.do("admin", "POST", "/service-levels", m{"name": "Gold", "respond_minutes": 60}).is(201).text("id")
	alarm := f.do("admin", "POST", f.ticketPath(number)+"/alarms", m{"at": f.now.Add(time.Hour)}).is(201).text("id")
	return world{
		"/calendars": f.do("admin", "POST", "/calendars", officeHours()).is(201).text("id"), "/service-levels": level, "/alarms": alarm,
		"/sessions": f.logIn("admin").session,
		"/times":    f.do("admin", "POST", f.ticketPath(number)+"/times", m{"minutes": 5}).is(201).text("id"), "/links": "1", "/tickets/files": kept,
		"/webhooks": hook, "/webhooks/deliveries": message,
		"/watchers": f.agents["standard"],
		"/tickets":  fmt.Sprint(number), "/activities": incoming, "/attachments": file, "/deliveries": delivery,
		"/channels": f.channel, "/subscriptions": f.agents["standard"], "/statuses": status, "/mail-accounts": f.account,
		"/agents":        f.agents["informal"],
		"/custom-fields": f.do("admin", "POST", "/custom-fields", m{"key": "serial", "name": "Serial"}).is(201).text("id"),
		"/rules":         f.do("admin", "POST", "/rules", m{"name": "VIP", "condition": "contact.known"}).is(201).text("id"),
		"/templates":     f.do("admin", "POST", "/templates", m{"name": "Hello", "text": "Hello {{contact.name}},"}).is(201).text("id"),
		"/drafts":        f.do("admin", "POST", "/tickets", m{"kind": "internal", "draft": true}).is(201).text("id"),
		"/files":         f.upload("admin", "a.txt", "text").is(201).text("file_id"),
		"/views":         f.do("admin", "POST", "/views", m{"name": "Mine"}).is(201).text("id"),
		"/markers":       f.do("admin", "POST", "/markers", m{"name": "Red", "colour": "#ff0000"}).is(201).text("id"),
		"/contacts":      f.do("admin", "POST", "/contacts", m{"name": "c"}).is(201).text("id"),
		"/companies":     f.do("admin", "POST", "/companies", m{"name": "c"}).is(201).text("id"),
		"/tokens":        f.do("admin", "POST", "/tokens", m{"name": "c"}).is(201).text("id"),
		"/dkim-keys":     f.do("admin", "POST", "/dkim-keys", m{"domain": "example.test"}).is(201).text("id"),
		"/quarantine":    f.do("admin", "GET", "/quarantine", nil).items()[0]["id"].(string),
	}
}

// fill puts the ids of the world into a path.
func (w world) fill(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			parts[i] = w["/"+parts[i-1]]
			if below := w["/"+parts[1]+"/"+parts[i-1]]; below != "" {
				parts[i] = below
			}
		}
	}
	return strings.Join(parts, "/")
}

// fillWith puts what isn't there into the first place of a path.
func (w world) fillWith(path, id, number string) string {
	path = strings.Replace(strings.Replace(path, "{id}", id, 1), "{number}", number, 1)
	return w.fill(path)
}

func TestTheAnswersForHiddenAndMissingAreTheSame(t *testing.T) {
	f := newFixture(t)
	number, activity := f.mailIn(customersMail)
	strip := func(r reply) string {
		body := r.is(404).json()
		delete(body, "request_id")
		return fmt.Sprint(body, r.Header().Get("Content-Type"))
	}
	for _, rest := range []string{"", "/activities", "/activities/" + activity, "/activities/" + activity + "/raw"} {
		hidden := strip(f.do("outsider", "GET", f.ticketPath(number)+rest, nil))
		missing := strip(f.do("outsider", "GET", f.ticketPath(77777)+rest, nil))
		if hidden != missing {
			t.Errorf("%s: %s, but %s", rest, hidden, missing)
		}
	}
}

func TestTokensAreReadStrictly(t *testing.T) {
	f := newFixture(t)
	plain := f.tokens["standard"]
	for _, header := range []string{
		"", "Bearer", "Bearer ", "Basic " + plain, plain, "Bearer " + plain + "x", "Bearer " + strings.ToUpper(plain),
		"Bearer " + plain + " " + plain, "Bearer \x00", "Bearer " + strings.Repeat("a", 10000),
	} {
		f.do("nobody", "GET", "/me", nil, "Authorization", header).is(401)
	}
	f.do("nobody", "GET", "/me?token="+plain, nil).is(401)
	f.do("nobody", "GET", "/me", nil, "Authorization", "bearer "+plain).is(200)
}

func TestAdminPathsCanBeLeftOut(t *testing.T) {
	f := newFixture(t)
	f.serve(func(o *api.Options) { o.HideAdmin = true })
	f.do("admin", "POST", "/channels", m{"name": "x"}).is(405)
	f.do("admin", "GET", "/dkim-keys", nil).is(404)
	f.do("admin", "GET", "/channels", nil).is(200)
	for _, route := range f.routes() {
		if matrix[route] == admins {
			t.Errorf("%s is still there", route)
		}
	}
}
