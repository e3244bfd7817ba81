import { useAppLocation, useRouteRef } from '@backstage/frontend-plugin-api';
import { Container } from '@backstage/ui';
import { campaignsRouteRef } from '../routes';
import { CampaignList } from './CampaignList';
import { CampaignPage } from './CampaignPage';

/** Campaigns is the list of campaigns, or the one that the address names. */
export function Campaigns() {
  const { pathname } = useAppLocation();
  const list = useRouteRef(campaignsRouteRef)?.() ?? '';
  const [id] = pathname.startsWith(`${list}/`) ? pathname.slice(list.length + 1).split('/') : [''];
  return (
    <main>
      <Container>{id ? <CampaignPage key={id} id={decodeURIComponent(id)} /> : <CampaignList />}</Container>
    </main>
  );
}
