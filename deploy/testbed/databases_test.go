package testbed

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestPostgresKeepsCommitsOverACrash(t *testing.T) {
	server := Postgres(t)
	url := server.NewDatabase(t)
	if _, err := connect(t, url).Exec(t.Context(), "CREATE TABLE t AS SELECT 42 AS n"); err != nil {
		t.Fatal(err)
	}

	server.Restart(t, "immediate")

	conn := connect(t, url)
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT n FROM t").Scan(&n); err != nil || n != 42 {
		t.Fatalf("after the crash: n = %d, %v", n, err)
	}
	var fsync, encoding, collation string
	err := conn.QueryRow(t.Context(), `SELECT current_setting('fsync'),
		current_setting('server_encoding'), datcollate
		FROM pg_database WHERE datname = current_database()`).Scan(&fsync, &encoding, &collation)
	if err != nil || fsync != "on" || encoding != "UTF8" || collation != "C" {
		t.Errorf("fsync %s, encoding %s, collation %s, %v", fsync, encoding, collation, err)
	}

	server.Stop(t, "fast")
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		conn.Close(t.Context())
		t.Error("a stopped server takes connections")
	}
}

func TestSharedPostgresGivesSeparateDatabases(t *testing.T) {
	server := SharedPostgres(t)
	if again := SharedPostgres(t); again != server {
		t.Error("two shared servers")
	}
	a, b := server.NewDatabase(t), server.NewDatabase(t)
	if _, err := connect(t, a).Exec(t.Context(), "CREATE TABLE only_here (n int)"); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, b).Exec(t.Context(), "TABLE only_here"); err == nil {
		t.Error("a table of one database stands in the other")
	}
}

func TestRedisStopsAndStartsOnTheSamePort(t *testing.T) {
	for _, test := range []struct {
		name    string
		options []RedisOption
		kept    int64
	}{
		{"nothing is kept", nil, 0},
		{"append only", []RedisOption{AppendOnly()}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := Redis(t, test.options...)
			options, err := redis.ParseURL(server.URL())
			if err != nil {
				t.Fatal(err)
			}
			options.MaxRetries, options.DialerRetries = -1, 1
			client := redis.NewClient(options)
			defer client.Close()
			if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			if got := server.CLI("GET", "k"); got != "v" {
				t.Errorf("redis-cli sees %q", got)
			}

			server.Kill()
			if err := client.Ping(t.Context()).Err(); err == nil {
				t.Error("a killed server answers")
			}
			server.Start()
			if n, err := client.Exists(t.Context(), "k").Result(); err != nil || n != test.kept {
				t.Errorf("after the crash: %d, %v", n, err)
			}
			server.FlushAll()
			if n := client.DBSize(t.Context()).Val(); n != 0 {
				t.Errorf("%d keys after FLUSHALL", n)
			}
			server.Stop()
		})
	}
}

func TestRedisPauseHangs(t *testing.T) {
	server := Redis(t)
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr(), ReadTimeout: 100 * time.Millisecond, MaxRetries: -1,
	})
	defer client.Close()
	server.Pause()
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("a paused server answers")
	}
	server.Resume()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Errorf("resumed: %v", err)
	}
}

// TestNothingOutlivesAKilledTestBinary runs this binary again, has it start servers that
// nobody stops, kills it, and looks for what it left.
func TestNothingOutlivesAKilledTestBinary(t *testing.T) {
	if dir := os.Getenv("TESTBED_LEAVE_IN"); dir != "" {
		leaveBehind(t)
		return
	}
	dir, err := os.MkdirTemp("", "testbed-leave-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNothingOutlivesAKilledTestBinary$", "-test.v")
	cmd.Env = append(os.Environ(), "TESTBED_LEAVE_IN="+dir, "TMPDIR="+dir)
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the servers to start", func() bool { return strings.Contains(out.String(), "left behind: ") })
	urls := leftURLs(out.String())
	if files, _ := os.ReadDir(dir); len(files) < 2 || len(urls) != 2 {
		t.Fatalf("%d folders of servers, %q", len(files), urls)
	}
	cmd.Process.Kill()
	cmd.Wait()

	waitFor(t, "the servers' folders to go", func() bool {
		files, err := os.ReadDir(dir)
		return err == nil && len(files) == 0
	})
	if conn, err := pgx.Connect(t.Context(), urls[0]); err == nil {
		conn.Close(t.Context())
		t.Error("PostgreSQL outlives its test")
	}
	options, _ := redis.ParseURL(urls[1])
	options.MaxRetries, options.DialerRetries = -1, 1
	client := redis.NewClient(options)
	defer client.Close()
	if client.Ping(t.Context()).Err() == nil {
		t.Error("Redis outlives its test")
	}
}

// leaveBehind is the other process: it waits to be killed.
func leaveBehind(t *testing.T) {
	postgres, redis := SharedPostgres(t), Redis(t)
	t.Logf("left behind: %s %s .", postgres.URL(), redis.URL())
	<-t.Context().Done()
}

func leftURLs(out string) []string {
	_, rest, _ := strings.Cut(out, "left behind: ")
	rest, _, _ = strings.Cut(rest, " .")
	return strings.Fields(rest)
}

// lockedBuffer takes a process's output while the test reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// waitFor polls what only the file system or another process can tell.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(startLimit); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestRadicale(t *testing.T) {
	server := Radicale(t)
	book := server.Book("people")
	server.Put(book+"ida.vcf", "BEGIN:VCARD\nVERSION:3.0\nUID:ida\nFN:Ida\nN:;Ida;;;\nEND:VCARD\n")
	server.Stop()
	if err := server.ask("GET", book+"ida.vcf", "", nil); err == nil {
		t.Error("a stopped server answers")
	}
	server.Start()
	if err := server.ask("GET", book+"ida.vcf", "", nil); err != nil {
		t.Error(err)
	}
	server.Delete(book + "ida.vcf")
	if err := server.ask("GET", book+"ida.vcf", "", nil); err == nil {
		t.Error("a deleted card is there")
	}
	response, err := http.Get(server.URL() + book)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a login: %s", response.Status)
	}
}
