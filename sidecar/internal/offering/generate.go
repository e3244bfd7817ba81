package offering

import (
	"fmt"
	"os"
	"path/filepath"
)

// WriteForms writes template.yaml into every offering's folder under dir and
// names the files that changed, sorted. It may be run again; it is Invalid when
// a contract is broken, and then writes nothing.
func WriteForms(dir string) ([]string, error) {
	catalog, err := Open(os.DirFS(dir), nil)
	if err != nil {
		return nil, err
	}
	var changed []string
	for _, o := range catalog.Offerings() {
		form, err := Template(o)
		if err != nil {
			return changed, err
		}
		file := filepath.Join(dir, o.ID, "template.yaml")
		if old, err := os.ReadFile(file); err == nil && string(old) == string(form) {
			continue
		}
		if err := os.WriteFile(file, form, 0o644); err != nil {
			return changed, fmt.Errorf("write the form of %s: %w", o.ID, err)
		}
		changed = append(changed, file)
	}
	return changed, nil
}
