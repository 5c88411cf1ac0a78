package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"ticketgate/store"
)

// heard is what a receiver of a webhook was sent.
type heard struct {
	header http.Header
	body   string
}

// hear starts a receiver.
func (f *fixture) hear() (url string, messages chan heard) {
	f.t.Helper()
	messages = make(chan heard, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		messages <- heard{r.Header, string(body)}
	}))
	f.t.Cleanup(server.Close)
	return server.URL, messages
}

// toldWebhook makes a webhook that was told something.
func (f *fixture) toldWebhook() (hook, message string) {
	f.t.Helper()
	url, _ := f.hear()
	hook = f.do("admin", "POST", "/webhooks", m{"url": url, "events": []string{"ticket.created"}}).is(201).text("id")
	return hook, f.do("admin", "POST", "/webhooks/"+hook+"/test", nil).is(200).text("id")
}

func TestAWebhooksSecretIsShownOnce(t *testing.T) {
	f := newFixture(t)
	url, _ := f.hear()
	made := f.do("admin", "POST", "/webhooks", m{"url": url, "events": []string{"ticket.created", "ticket.created", "delivery.changed"}}).is(201)
	secret, path := made.text("secret"), "/webhooks/"+made.text("id")
	if !strings.HasPrefix(secret, "whsec_") || made.text("name") != url || made.Header().Get("Location") != "/api/v1"+path {
		t.Errorf("made: %s", made.Body)
	}
	if events := made.json()["events"].([]any); len(events) != 2 || made.json()["active"] != true || made.json()["disabled_at"] != nil {
		t.Errorf("made: %s", made.Body)
	}
	for _, r := range []reply{
		f.do("admin", "GET", path, nil).is(200), f.do("admin", "GET", "/webhooks", nil).is(200),
		f.do("admin", "PATCH", path, m{"url": url + "/x"}).is(200),
	} {
		if strings.Contains(r.Body.String(), "secret") {
			t.Errorf("shown again: %s", r.Body)
		}
	}
	if name := f.do("admin", "GET", path, nil).text("name"); name != url+"/x" {
		t.Errorf("the name does not follow: %s", name)
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	f.must(err)
	desk, err := f.db.Desk(f.ctx)
	f.must(err)
	kept, err := json.Marshal(desk.Webhooks)
	f.must(err)
	for _, form := range []string{secret, string(plain)} {
		if strings.Contains(string(kept), form) || strings.Contains(string(desk.Webhooks[0].Secrets[0].Sealed), form) {
			t.Error("the secret lies in the store as it is")
		}
	}
	f.do("admin", "DELETE", path, nil).is(204)
	f.do("admin", "GET", path, nil).is(404)
}

func TestWhatAWebhookMayNotBe(t *testing.T) {
	f := newFixture(t)
	good := func() m { return m{"url": "https://example.org/hook", "events": []string{"ticket.created"}} }
	for field, value := range map[string]any{
		"url": "https://10.0.0.1/", "events": []string{}, "events[0]": []string{"agent.notice"}, "channel_ids[0]": []string{"none"},
		"active": nil,
	} {
		body := good()
		name, _, _ := strings.Cut(field, "[")
		body[name] = value
		f.do("admin", "POST", "/webhooks", body).is(422).refuses(field)
	}
	f.do("admin", "POST", "/webhooks", m{"events": []string{"ticket.created"}}).is(422).refuses("url")
	f.do("admin", "POST", "/webhooks", m{"url": "https://example.org/hook"}).is(422).refuses("events")
	f.do("admin", "POST", "/webhooks", m{"url": "https://example.org/", "events": []string{"ticket.created"}, "secret": "whsec_x"}).is(422).refuses("secret")
	f.do("admin", "POST", "/webhooks", good()).is(201)
	if r := f.do("admin", "POST", "/webhooks", good()).is(409); r.text("reason") != "duplicate" {
		t.Errorf("of the same name: %s", r.Body)
	}
}

// The closed set of kinds stands in the description as it is in the store.
func TestTheKindsOfWebhooksAreDescribed(t *testing.T) {
	f := newFixture(t)
	var schema struct {
		Properties struct {
			Events struct {
				Items struct{ Enum []store.EventKind }
			}
		}
	}
	f.must(json.Unmarshal(f.document().Components.Schemas["WebhookInput"], &schema))
	if !slices.Equal(schema.Properties.Events.Items.Enum, store.WebhookEvents()) {
		t.Errorf("described are %v", schema.Properties.Events.Items.Enum)
	}
}

func TestAWebhookIsTestedAndRotated(t *testing.T) {
	f := newFixture(t)
	url, messages := f.hear()
	made := f.do("admin", "POST", "/webhooks", m{"url": url, "events": []string{"ticket.created"}, "active": false}).is(201)
	path := "/webhooks/" + made.text("id")
	told := f.do("admin", "POST", path+"/test", nil).is(200)
	attempt := told.json()["attempts"].([]any)[0].(m)
	if told.text("state") != "delivered" || told.text("kind") != "webhook.test" || attempt["code"] != 200.0 || told.json()["next_attempt_at"] != nil {
		t.Errorf("tested: %s", told.Body)
	}
	first := <-messages
	verifies(t, first, made.text("secret"), true)
	if first.header.Get("webhook-id") != told.text("id") {
		t.Errorf("another id: %v", first.header)
	}
	rotated := f.do("admin", "POST", path+"/rotate", nil).is(200).text("secret")
	f.do("admin", "POST", path+"/test", nil).is(200)
	second := <-messages
	verifies(t, second, made.text("secret"), true)
	verifies(t, second, rotated, true)
	last := f.do("admin", "POST", path+"/rotate", m{"overlap_hours": 0}).is(200).text("secret")
	f.do("admin", "POST", path+"/test", nil).is(200)
	third := <-messages
	verifies(t, third, rotated, false)
	verifies(t, third, last, true)
	f.do("admin", "POST", path+"/rotate", m{"overlap_hours": 169}).is(422).refuses("overlap_hours")
}

func verifies(t *testing.T, h heard, secret string, want bool) {
	t.Helper()
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := wh.VerifyIgnoringTimestamp([]byte(h.body), h.header); (err == nil) != want {
		t.Errorf("verified: %v, want %v", err, want)
	}
}

// W14: what a webhook was told can be looked up, and sent again.
func TestW14MessagesOfAWebhook(t *testing.T) {
	f := newFixture(t)
	url, messages := f.hear()
	made := f.do("admin", "POST", "/webhooks", m{"url": url, "events": []string{"ticket.created", "activity.created"}, "channel_ids": []string{f.channel}}).is(201)
	path := "/webhooks/" + made.text("id")
	ctx, cancel := context.WithCancel(f.ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); f.hooks.Run(ctx) }()
	number, activity := f.mailIn(customersMail)
	for _, kind := range []string{"ticket.created", "activity.created"} {
		h := <-messages
		verifies(t, h, made.text("secret"), true)
		var body struct {
			Type string
			Data struct {
				Ticket     int64
				Reference  string
				ActivityID string `json:"activity_id"`
			}
		}
		f.must(json.Unmarshal([]byte(h.body), &body))
		if body.Type != kind || body.Data.Ticket != number || body.Data.Reference != f.service.Reference(number) || (body.Data.ActivityID == activity) != (kind == "activity.created") {
			t.Errorf("told: %s", h.body)
		}
		if strings.Contains(h.body, "Printer") || strings.Contains(h.body, "carla") {
			t.Errorf("it tells too much: %s", h.body)
		}
	}
	cancel()
	<-ended // what came of them is written
	items := f.do("admin", "GET", path+"/deliveries?state=delivered&limit=1", nil).items()
	if len(items) != 1 || items[0]["kind"] != "activity.created" || items[0]["ticket"] != float64(number) || items[0]["payload"].(m)["type"] != "activity.created" {
		t.Errorf("listed: %v", items)
	}
	retry := path + "/deliveries/" + items[0]["id"].(string) + "/retry"
	for range 2 {
		if r := f.do("admin", "POST", retry, nil).is(200); r.text("state") != "waiting" || r.json()["next_attempt_at"] == nil {
			t.Errorf("again: %s", r.Body)
		}
	}
	f.do("admin", "PATCH", path, m{"active": false}).is(200)
	if r := f.do("admin", "POST", retry, nil).is(409); r.text("reason") != "webhook_off" {
		t.Errorf("while off: %s", r.Body)
	}
	other, _ := f.toldWebhook()
	f.do("admin", "POST", strings.Replace(retry, made.text("id"), other, 1), nil).is(404)
	f.do("admin", "GET", path+"/deliveries?state=lost", nil).is(422).refuses("state")
	f.do("admin", "GET", path+"/deliveries?cursor=x", nil).is(400)
}
