package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

// peer is an LMTP server in memory. It refuses every mail whose subject holds a
// word, and hangs up on a mail whose subject holds another.
type peer struct {
	addr string

	mu    sync.Mutex
	texts [][]byte // of the mails taken; guarded by mu
}

const (
	refuseWord = "refuse-me"
	hangUpWord = "hang-up"
)

func startPeer(t *testing.T) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{addr: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return p
}

func (p *peer) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	fmt.Fprint(conn, "220 peer\r\n")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch line[:4] {
		case "LHLO":
			fmt.Fprint(conn, "250-peer\r\n250 PIPELINING\r\n")
		case "DATA":
			fmt.Fprint(conn, "354 go on\r\n")
			if !p.data(conn, in) {
				return
			}
		case "RCPT":
			if strings.Contains(line, "nobody@") {
				fmt.Fprint(conn, "550 5.1.1 unknown\r\n")
				if line, err = in.ReadString('\n'); err != nil || line != "DATA\r\n" {
					return
				}
				fmt.Fprint(conn, "503 5.5.1 no recipient\r\n")
				continue
			}
			fmt.Fprint(conn, "250 ok\r\n")
		default:
			fmt.Fprint(conn, "250 ok\r\n")
		}
	}
}

func (p *peer) data(conn net.Conn, in *bufio.Reader) bool {
	var text bytes.Buffer
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return false
		}
		if string(line) == ".\r\n" {
			break
		}
		text.Write(bytes.TrimPrefix(line, []byte(".")))
	}
	switch {
	case bytes.Contains(text.Bytes(), []byte(refuseWord)):
		fmt.Fprint(conn, "451 4.3.0 not now\r\n")
	case bytes.Contains(text.Bytes(), []byte(hangUpWord)):
		return false
	default:
		p.mu.Lock()
		p.texts = append(p.texts, text.Bytes())
		p.mu.Unlock()
		fmt.Fprint(conn, "250 2.0.0 taken\r\n")
	}
	return true
}

func testWriter(t *testing.T, m mix) (*writer, string) {
	t.Helper()
	key, record, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	return newWriter(m, key, rand.New(rand.NewPCG(1, 2)), time.Now), record
}

var smallMix = mix{size: 2000, signed: 0.5, replies: 0.5, html: 0.3, senders: 50, to: "support@desk.example"}

func TestSendCountsWhatWasTaken(t *testing.T) {
	p := startPeer(t)
	w, _ := testWriter(t, smallMix)
	mails, err := w.mails(100)
	if err != nil {
		t.Fatal(err)
	}
	for i, word := range map[int]string{3: refuseWord, 50: refuseWord, 70: hangUpWord} {
		mails[i].wire = append([]byte("Subject: "+word+"\r\n"), mails[i].wire...)
	}
	m, err := send(t.Context(), target{name: "peer", addr: p.addr}, smallMix.to, mails, 5)
	if err != nil {
		t.Fatal(err)
	}
	if m.sent != 97 || m.failed != 3 || len(m.replies) != 97 || len(p.texts) != 97 {
		t.Errorf("sent %d, failed %d, %d times, %d arrived", m.sent, m.failed, len(m.replies), len(p.texts))
	}
	if m.took <= 0 || m.rate() <= 0 || m.complaint == "" {
		t.Errorf("took %v, rate %v, complaint %q", m.took, m.rate(), m.complaint)
	}
}

func TestSendCountsRefusedRecipients(t *testing.T) {
	p := startPeer(t)
	w, _ := testWriter(t, smallMix)
	mails, err := w.mails(10)
	if err != nil {
		t.Fatal(err)
	}
	m, err := send(t.Context(), target{name: "peer", addr: p.addr}, "nobody@desk.example", mails, 2)
	if err != nil {
		t.Fatal(err)
	}
	if m.sent != 0 || m.failed != 10 || m.complaint != "550 5.1.1 unknown" {
		t.Errorf("sent %d, failed %d: %s", m.sent, m.failed, m.complaint)
	}
}

// TestMailsAreWhatTheMixSays reads the mails back as a receiver would.
func TestMailsAreWhatTheMixSays(t *testing.T) {
	wanted := mix{size: 5000, signed: 0.5, replies: 0.5, html: 0.3, senders: 50, to: "support@desk.example"}
	w, record := testWriter(t, wanted)
	const n = 1500
	mails, err := w.mails(n)
	if err != nil {
		t.Fatal(err)
	}
	lookup := &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) { return []string{record}, nil }}
	seen := map[string]int{} // Message-ID to place
	sender := map[string]string{}
	signed, replies, size := 0, 0, 0
	for i, m := range mails {
		text := bytes.ReplaceAll(bytes.TrimSuffix(m.wire, []byte(".\r\n")), []byte("\r\n.."), []byte("\r\n."))
		size += len(text)
		parsed, err := netmail.ReadMessage(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		id := parsed.Header.Get("Message-ID")
		if _, twice := seen[id]; twice {
			t.Fatalf("%s stands twice", id)
		}
		seen[id], sender[id] = i, m.from
		if parent := parsed.Header.Get("In-Reply-To"); parent != "" {
			replies++
			if at, ok := seen[parent]; !ok || i-at < lag || sender[parent] != m.from {
				t.Fatalf("mail %d of %s answers %s of %s, which is mail %d", i, m.from, parent, sender[parent], at)
			}
		}
		results, err := dkim.VerifyWithOptions(bytes.NewReader(text), lookup)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			signed++
		}
	}
	if signed < n*4/10 || signed > n*6/10 {
		t.Errorf("%d of %d are signed", signed, n)
	}
	if replies < n/4 || replies > n*6/10 {
		t.Errorf("%d of %d are replies", replies, n)
	}
	if mean := size / n; mean < 4500 || mean > 5500 {
		t.Errorf("a mail has %d octets", mean)
	}
}

// TestRun goes the whole way: two servers of the floor, names served, JSON.
func TestRun(t *testing.T) {
	floor := func() (addr string) {
		in, end := io.Pipe()
		printed, out := io.Pipe()
		done := make(chan error, 1)
		go func() { done <- bench(t.Context(), []string{floorCommand}, in, out, io.Discard) }()
		line, err := bufio.NewReader(printed).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = end.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		return strings.TrimSpace(strings.TrimPrefix(line, listening))
	}
	var out bytes.Buffer
	err := bench(t.Context(), []string{
		"-target", fmt.Sprintf("a=%s,pid=%d", floor(), os.Getpid()), "-target", "b=" + floor(), "-limit", "b",
		"-sessions", "1,4", "-rounds", "2", "-messages", "30", "-warm", "5", "-json",
	}, strings.NewReader(""), &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Limit != "b" || len(r.Rows) != 4 || len(r.Peaks) != 2 || r.Peaks[0].Own <= 0 {
		t.Fatalf("%+v", r)
	}
	for _, row := range r.Rows {
		if row.Sent != 60 || row.Failed != 0 || row.PerSecond <= 0 || row.P99 < row.P50 {
			t.Errorf("%+v", row)
		}
		if row.Target == "b" && row.Ratio != 1 {
			t.Errorf("the limit has ratio %v", row.Ratio)
		}
	}
	if err := writeTable(&out, r); err != nil || !strings.Contains(out.String(), "of b") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, args := range []string{
		"", "-target x", "-target a=b,pid=x", "-target a=b,cpu=1", "-target a=b -sessions 0", "-target a=b -signed 2",
		"-target a=b -rounds 0", "-target a=b more", "-target a=127.0.0.1:1 -limit c",
	} {
		err := bench(context.Background(), append(strings.Fields(args), "-quiet"), strings.NewReader(""), io.Discard, io.Discard)
		if err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, test := range []struct {
		sorted []time.Duration
		share  float64
		want   time.Duration
	}{
		{nil, 0.5, 0},
		{[]time.Duration{7}, 0.99, 7},
		{[]time.Duration{1, 2}, 0.5, 1},
		{[]time.Duration{1, 2, 3}, 0.5, 2},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
		{hundred, 0, 1},
	} {
		if got := percentile(test.sorted, test.share); got != test.want {
			t.Errorf("percentile(%d values, %v) = %d, want %d", len(test.sorted), test.share, got, test.want)
		}
	}
}

func TestSummarise(t *testing.T) {
	round := func(sent int, took, reply, cpu time.Duration) measurement {
		return measurement{sent: sent, took: took, replies: []time.Duration{reply}, cpu: cpu, dbCPU: 2 * cpu}
	}
	limit := []measurement{
		round(100, time.Second, 1, 0), round(200, time.Second, 1, 0), round(400, time.Second, 1, 0),
	}
	rounds := []measurement{
		round(50, time.Second, 3*time.Millisecond, 50*time.Millisecond),
		round(160, time.Second, 1*time.Millisecond, 320*time.Millisecond),
		round(100, time.Second, 2*time.Millisecond, 300*time.Millisecond),
	}
	rounds[1].failed, rounds[1].complaint = 2, "451 no"
	got := summarise("x", 10, rounds, limit)
	want := row{
		Target: "x", Sessions: 10, Rounds: 3, Sent: 310, Failed: 2, Complaint: "451 no",
		PerSecond: 100, Ratio: 0.5, P50: 2, P99: 2, CPU: 2000, DatabaseCPU: 4000,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median %v", m)
	}
}

// TestUsageCountsDescendants reads a /proc made for it.
func TestUsageCountsDescendants(t *testing.T) {
	root := t.TempDir()
	put := func(pid, parent, user, system, childUser, childSystem int, peakKB, sharedKB int) {
		dir := filepath.Join(root, fmt.Sprint(pid))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		stat := fmt.Sprintf("%d (a (strange) name) S %d 1 1 0 -1 0 0 0 0 0 %d %d %d %d 20 0 1 0 1",
			pid, parent, user, system, childUser, childSystem)
		status := fmt.Sprintf("Name:\tx\nVmHWM:\t%d kB\nRssShmem:\t%d kB\n", peakKB, sharedKB)
		for name, text := range map[string]string{"stat": stat, "status": status} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(10, 1, 100, 50, 7, 3, 1000, 400)
	put(11, 10, 20, 0, 0, 0, 500, 300)
	put(12, 11, 5, 5, 0, 0, 100, 0)
	put(13, 1, 1000, 1000, 0, 0, 9000, 0) // not of the family
	if got, want := cpuOf(root, []int{10}), 190*clockTick; got != want {
		t.Errorf("processor time %v, want %v", got, want)
	}
	if got, want := peakOf(root, []int{10}), int64(600+200+100+400)<<10; got != want {
		t.Errorf("peak %d, want %d", got, want)
	}
	if cpuOf(root, []int{99}) != 0 || peakOf(root, nil) != 0 {
		t.Error("nobody uses something")
	}
}
