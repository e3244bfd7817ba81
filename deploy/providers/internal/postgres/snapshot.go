package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// snapshot writes what a database holds to a file, in pg_dump's custom format,
// readable by this user alone. It is whole or not there: an interrupted one
// leaves a file beside it. An empty path is nothing to do. A repeat writes it anew.
func (s *server) snapshot(ctx context.Context, database, file string) error {
	if file == "" {
		return nil
	}
	if !filepath.IsAbs(file) {
		return fmt.Errorf("final_snapshot is %q, which is no absolute path; nothing was dropped", file)
	}
	program, err := exec.LookPath("pg_dump")
	if err != nil {
		return errors.New("pg_dump is not on PATH, so the last snapshot cannot be made and nothing was dropped; install PostgreSQL's client programs where Terraform runs")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("make the folder of the last snapshot: %w", err)
	}
	part := file + ".part"
	if err := os.WriteFile(part, nil, 0o600); err != nil {
		return fmt.Errorf("write the last snapshot: %w", err)
	}
	var said bytes.Buffer
	dump := exec.CommandContext(ctx, program, "--format=custom", "--no-password", "--file="+part,
		"--host="+s.config.Host, "--port="+strconv.Itoa(int(s.config.Port)), "--username="+s.config.User, "--dbname="+connectionString(database))
	dump.Env = append(os.Environ(), "PGPASSWORD="+s.config.Password)
	dump.Stderr = &said
	if err := dump.Run(); err != nil {
		return fmt.Errorf("the last snapshot could not be made, and nothing was dropped: %w: %s", err, strings.TrimSpace(said.String()))
	}
	if err := syncFile(part); err != nil {
		return fmt.Errorf("write the last snapshot: %w", err)
	}
	if err := os.Rename(part, file); err != nil {
		return fmt.Errorf("write the last snapshot: %w", err)
	}
	return nil
}

// connectionString names a database so that its name is never read as one.
func connectionString(database string) string {
	return "dbname='" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(database) + "'"
}

func syncFile(name string) error {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
