import { useEffect, useState } from 'react';
import { parseEntityRef } from '@backstage/catalog-model';
import { Sidebar, SidebarDivider, SidebarItem, SidebarSpace } from '@backstage/core-components';
import { appThemeApiRef, errorApiRef, identityApiRef, useApi } from '@backstage/frontend-plugin-api';
import type { NavContentComponentProps } from '@backstage/plugin-app-react';
import { NotificationsSidebarItem } from '@backstage/plugin-notifications';
import { RiLogoutBoxRLine, RiMoonLine, RiSunLine, RiUserLine } from '@remixicon/react';
import { Brand } from './Brand';

/** Navigation is the sidebar: every plugin's page, then who is signed in, the theme and the way out. */
export function Navigation({ navItems }: NavContentComponentProps) {
  const item = navItems.withComponent(page => <SidebarItem to={page.href} icon={() => page.icon} text={page.title} />);
  // In its place stands the item that counts what is unread.
  navItems.take('page:notifications');
  return (
    <Sidebar>
      <Brand />
      <SidebarDivider />
      {item.take('page:scaffolder')}
      {item.take('page:roadbed')}
      {item.take('page:catalog')}
      {item.rest({ sortBy: 'title' })}
      <SidebarSpace />
      <SidebarDivider />
      {/* No pop-up: its link opens another tab, and a tab has a person of its own here. */}
      <NotificationsSidebarItem snackbarEnabled={false} />
      <ThemeItem />
      <UserItems />
    </Sidebar>
  );
}

function ThemeItem() {
  const themes = useApi(appThemeApiRef);
  const [activeId, setActiveId] = useState(themes.getActiveThemeId());
  useEffect(() => {
    const subscription = themes.activeThemeId$().subscribe(setActiveId);
    return () => subscription.unsubscribe();
  }, [themes]);

  const prefersDark = window.matchMedia('(prefers-color-scheme: dark)').matches;
  const active = themes.getInstalledThemes().find(theme => theme.id === activeId);
  const dark = active ? active.variant === 'dark' : prefersDark;
  const other = themes.getInstalledThemes().find(theme => theme.variant === (dark ? 'light' : 'dark'));
  if (!other) {
    return null;
  }
  return (
    <SidebarItem
      icon={() => (dark ? <RiSunLine /> : <RiMoonLine />)}
      text={dark ? 'Light theme' : 'Dark theme'}
      onClick={() => themes.setActiveThemeId(other.id)}
    />
  );
}

function UserItems() {
  const identity = useApi(identityApiRef);
  const errors = useApi(errorApiRef);
  const [user, setUser] = useState<{ name: string; path: string }>();
  useEffect(() => {
    Promise.all([identity.getProfileInfo(), identity.getBackstageIdentity()]).then(
      ([profile, { userEntityRef }]) => {
        const { kind, namespace, name } = parseEntityRef(userEntityRef);
        setUser({ name: profile.displayName ?? name, path: `/catalog/${namespace}/${kind}/${name}` });
      },
      error => errors.post(error, { hidden: true }),
    );
  }, [identity, errors]);
  return (
    <>
      {user && <SidebarItem icon={() => <RiUserLine />} text={user.name} to={user.path} />}
      <SidebarItem icon={() => <RiLogoutBoxRLine />} text="Sign out" onClick={() => identity.signOut()} />
    </>
  );
}
