package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ticketgate/deploy/testbed"
	"ticketgate/threading/message"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"ticketgate": func() { os.Exit(run(context.Background(), system())) },
	})
}

// patience is how long a script waits for what must come.
const patience = 60 * time.Second

// TestScripts types at the program as a person would. Each script has a daemon
// of its own, on free ports and in its own folder.
func TestScripts(t *testing.T) {
	dns := testbed.DNS(t, nil) // knows no name: every sender is unverified
	testscript.Run(t, testscript.Params{
		Dir:   filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error { return setUp(env, dns.Addr()) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready":     ready,
			"firstid":   firstID,
			"linktoken": linkToken,
			"api":       callAPI,
			"await":     await,
			"readyz":    readyz,
			"manyrows":  manyRows,
			"contacts":  countContacts,
		},
	})
}

// setUp makes the environment of a script, and the socket that the daemon tells
// its state to, as systemd's.
func setUp(env *testscript.Env, resolver string) error {
	socket := filepath.Join(env.WorkDir, "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	env.Defer(func() { _ = conn.Close() })
	env.Values["notify"] = conn
	for name, value := range map[string]string{
		"NOTIFY_SOCKET":                 socket,
		"TICKETGATE_DATA_DIR":           filepath.Join(env.WorkDir, "data"),
		"TICKETGATE_HOSTNAME":           "mx.example.test",
		"TICKETGATE_LMTP_LISTEN":        "127.0.0.1:0",
		"TICKETGATE_HTTP_LISTEN":        "127.0.0.1:0",
		"TICKETGATE_METRICS_LISTEN":     "127.0.0.1:0",
		"TICKETGATE_OUTBOUND_SMARTHOST": "dir:" + filepath.Join(env.WorkDir, "sent"),
		"TICKETGATE_DNS_RESOLVER":       resolver,
	} {
		env.Setenv(name, value)
	}
	return nil
}

// ready waits until the daemon says that it serves.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: ready")
	}
	conn := ts.Value("notify").(*net.UnixConn)
	ts.Check(conn.SetReadDeadline(time.Now().Add(patience)))
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			ts.Fatalf("the daemon is not ready: %v", err)
		}
		if strings.Contains(string(buffer[:n]), "READY=1") {
			return
		}
	}
}

// callAPI calls the API as the first admin, and prints the answer:
// api METHOD PATH STATUS [BODY].
func callAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: api METHOD PATH STATUS [BODY]")
	}
	token, err := os.ReadFile(ts.MkAbs("data/admin-token"))
	ts.Check(err)
	body := strings.Join(args[3:], " ")
	request, err := http.NewRequest(args[0], "http://"+addressOf(ts, "http")+"/api/v1"+args[1], strings.NewReader(body))
	ts.Check(err)
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Content-Type", "application/json")
	printAnswer(ts, request, args[2])
}

// linkToken puts the token of the first link in a mail's text into $TOKEN:
// linktoken FILE.
func linkToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: linktoken FILE")
	}
	for word := range strings.FieldsSeq(message.Parse([]byte(ts.ReadFile(args[0]))).Text) {
		if link, err := url.Parse(word); err == nil && link.Host != "" {
			ts.Setenv("TOKEN", link.Query().Get("token"))
			return
		}
	}
	ts.Fatalf("%s holds no link", args[0])
}

// manyRows writes a CSV file of so many contacts, half of them without an
// address: manyrows FILE COUNT.
func manyRows(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: manyrows FILE COUNT")
	}
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	text := []byte("name,email,phone,company\n")
	for i := range count {
		address := ""
		if i%2 == 0 {
			address = fmt.Sprintf("p%d@x.example", i)
		}
		text = fmt.Appendf(text, "Person %d,%s,+49 30 1%06d,Firm %d\n", i, address, i, i%10)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

// countContacts waits until there are at least so many contacts: contacts
// COUNT. With "exactly" it counts them, once.
func countContacts(ts *testscript.TestScript, neg bool, args []string) {
	exactly := len(args) == 2 && args[1] == "exactly"
	if neg || len(args) == 0 || len(args) == 2 && !exactly {
		ts.Fatalf("usage: contacts COUNT [exactly]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		n := contactPages(ts, want)
		if exactly && n != want {
			ts.Fatalf("there are %d contacts, want %d", n, want)
		}
		if n >= want {
			return
		}
	}
	ts.Fatalf("there are no %d contacts", want)
}

// contactPages reads the list of contacts until there are more than enough.
func contactPages(ts *testscript.TestScript, enough int) (n int) {
	token, err := os.ReadFile(ts.MkAbs("data/admin-token"))
	ts.Check(err)
	for cursor := ""; ; {
		request, err := http.NewRequest(http.MethodGet, "http://"+addressOf(ts, "http")+"/api/v1/contacts?limit=200&cursor="+cursor, nil)
		ts.Check(err)
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		response, err := http.DefaultClient.Do(request)
		ts.Check(err)
		var list struct {
			Items []struct{}
			Next  string
		}
		err = json.NewDecoder(response.Body).Decode(&list)
		_ = response.Body.Close()
		ts.Check(err)
		if n += len(list.Items); list.Next == "" || n > enough {
			return n
		}
		cursor = list.Next
	}
}

// readyz asks for the daemon's state: readyz STATUS.
func readyz(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: readyz STATUS")
	}
	request, err := http.NewRequest(http.MethodGet, "http://"+addressOf(ts, "metrics")+"/readyz", nil)
	ts.Check(err)
	printAnswer(ts, request, args[0])
}

func printAnswer(ts *testscript.TestScript, request *http.Request, status string) {
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	ts.Check(err)
	_, err = fmt.Fprintf(ts.Stdout(), "%s\n", text)
	ts.Check(err)
	if strconv.Itoa(response.StatusCode) != status {
		ts.Fatalf("want status %s, got %s: %s", status, response.Status, text)
	}
}

func addressOf(ts *testscript.TestScript, face string) string {
	data, err := os.ReadFile(ts.MkAbs("data/addresses"))
	ts.Check(err)
	var all map[string][]string
	ts.Check(json.Unmarshal(data, &all))
	return all[face][0]
}

// await waits until a file whose name fits the pattern has the text, and copies
// it: await PATTERN TEXT COPY. It is for what another process does in its own
// time and tells nobody.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: await PATTERN TEXT COPY")
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		names, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err == nil && strings.Contains(string(data), args[1]) {
				ts.Check(os.WriteFile(ts.MkAbs(args[2]), data, 0o600))
				return
			}
		}
	}
	ts.Fatalf("no file %s has %q", args[0], args[1])
}

// firstID puts the id of the first item of a list into $ID: firstid FILE.
func firstID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: firstid FILE")
	}
	var list struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &list))
	if len(list.Items) == 0 {
		ts.Fatalf("%s has no items", args[0])
	}
	ts.Setenv("ID", list.Items[0].ID)
}
