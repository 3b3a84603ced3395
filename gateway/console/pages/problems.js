// What somebody should look at, with the reason.

import { h, only } from '../dom.js';
import { now } from '../live.js';
import { problems } from '../model.js';
import { empty, problemList } from '../parts.js';

/** The page. */
export function problemsPage() {
  const list = problemList('Problems');
  const nothing = empty('No problems', 'Every file serves, every instance is healthy, and no operator has ordered anything.');
  const element = h('div', {}, h('h1', { tabindex: '-1', text: 'Problems' }), list.element, nothing);
  const update = () => {
    const known = problems();
    list.show(known);
    only(known.length || !now.services ? list.element : nothing, list.element, nothing);
  };
  return { title: 'Problems', page: 'problems', element, update };
}
