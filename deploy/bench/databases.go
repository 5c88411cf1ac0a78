package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// databases makes an empty database on the PostgreSQL server, notes the ids of
// the servers' processes, and gives the daemon's settings.
func (r *started) databases(ctx context.Context, s *selfRun, t *target) ([]string, error) {
	if s.postgres == "" {
		return nil, errors.New("-postgres is not set")
	}
	store, pid, err := r.newDatabase(ctx, s.postgres)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	t.db = append(t.db, pid)
	env := []string{"TICKETGATE_STORE_URL=" + store}
	if s.redis == "" {
		return env, nil
	}
	if pid, err = redisProcess(ctx, s.redis); err != nil {
		return nil, fmt.Errorf("Redis: %w", err)
	}
	t.db = append(t.db, pid)
	return append(env, "TICKETGATE_REDIS_URL="+s.redis), nil
}

// newDatabase makes a database that goes when the run ends.
func (r *started) newDatabase(ctx context.Context, server string) (store string, pid int, err error) {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	const firstLine = `SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int`
	if err := conn.QueryRow(ctx, firstLine).Scan(&pid); err != nil {
		return "", 0, fmt.Errorf("process id: %w", err)
	}
	name := fmt.Sprintf("bench_%x", rand.Uint64())
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", 0, err
	}
	r.ends = append(r.ends, func() { dropDatabase(server, name) })
	u, err := url.Parse(server)
	if err != nil {
		return "", 0, err
	}
	u.Path = "/" + name
	return u.String(), pid, nil
}

func dropDatabase(server, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return // the server is gone, and the database is its owner's
	}
	defer func() { _ = conn.Close(ctx) }()
	_, _ = conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)") // best effort, as above
}

var processLine = regexp.MustCompile(`(?m)^process_id:(\d+)\r?$`)

func redisProcess(ctx context.Context, server string) (int, error) {
	opt, err := redis.ParseURL(server)
	if err != nil {
		return 0, err
	}
	client := redis.NewClient(opt)
	defer func() { _ = client.Close() }()
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return 0, err
	}
	found := processLine.FindStringSubmatch(info)
	if found == nil {
		return 0, errors.New("it tells no process id")
	}
	return strconv.Atoi(found[1])
}
