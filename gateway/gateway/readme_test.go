package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// tenCalls are the rows of the README's table.
var tenCalls = regexp.MustCompile("(?m)^\\| `(GET|POST) (/api/v1/[^`]*)` \\| ([^|]*) \\|$")

// bodies are what an admin sends with those of the ten calls that are POSTs, in
// a desk that was just made. CHANNEL and AGENT stand for ids of earlier answers.
var bodies = map[string]string{
	"/api/v1/mail-accounts":               `{"name": "Support", "type": "ticket", "address": "support@example.test", "default_channel_id": "CHANNEL"}`,
	"/api/v1/agents":                      `{"name": "Ann", "email": "ann@example.test", "role": "agent"}`,
	"/api/v1/channels/{id}/subscriptions": `{"agent_id": "AGENT", "type": "standard"}`,
	"/api/v1/tokens":                      `{"name": "a program"}`,
	"/api/v1/dkim-keys":                   `{"domain": "example.test"}`,
}

// The admin's first ten calls work, in the order in which the README shows them,
// against a daemon that was just started.
func TestTheFirstTenCallsOfTheREADME(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## An admin's first ten calls")
	section, _, _ = strings.Cut(section, "\n## ")
	calls := tenCalls.FindAllStringSubmatch(section, -1)
	if len(calls) != 10 {
		t.Fatalf("the README shows %d calls", len(calls))
	}
	d := testDaemon(t, testConfig(t), Options{})
	ids := strings.NewReplacer()
	var channel string
	for _, call := range calls {
		method, path, means := call[1], call[2], call[3]
		body := bodies[path]
		if (method == http.MethodPost) != (body != "") {
			t.Fatalf("there is no body for %s %s", method, path)
		}
		answer := callAPI(t, d, method, strings.ReplaceAll(path, "{id}", channel), ids.Replace(body))
		for _, field := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(means, -1) {
			if body != "" && !strings.Contains(path, "subscriptions") && answer[field[1]] == nil {
				t.Errorf("%s has no %s: %v", path, field[1], answer)
			}
		}
		switch path {
		case "/api/v1/channels":
			channel = answer["items"].([]any)[0].(map[string]any)["id"].(string)
			ids = strings.NewReplacer("CHANNEL", channel)
		case "/api/v1/agents":
			ids = strings.NewReplacer("AGENT", answer["id"].(string))
		case "/api/v1/tokens":
			if token := fmt.Sprint(answer["token"]); len(token) < 20 {
				t.Errorf("token: %v", answer)
			}
		case "/api/v1/dkim-keys":
			if record := fmt.Sprint(answer["record"]); !strings.Contains(record, "v=DKIM1") {
				t.Errorf("key: %v", answer)
			}
		}
	}
	me := callAPI(t, d, http.MethodGet, "/api/v1/me", "")
	if actions := fmt.Sprint(me["actions"]); !strings.Contains(actions, "new_email_ticket:map[available:true") {
		t.Errorf("afterwards nobody can write: %s", actions)
	}
}

// callAPI makes a call as the admin of the first start, which must succeed.
func callAPI(t *testing.T, d *Daemon, method, path, body string) map[string]any {
	t.Helper()
	status, text := asAdmin(t, d, FaceHTTP, method, path, body)
	var answer map[string]any
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return answer
}
