"""State numbers for the data sets that have place names only.

Numbers follow Gleditsch and Ward (1999), and the Correlates of War where that list has no number.
Alternative names of one state are divided by a bar.
"""

from __future__ import annotations

_STATES = """
2 United States|United States of America; 20 Canada; 40 Cuba; 41 Haiti; 42 Dominican Republic; 51 Jamaica;
54 Dominica; 55 Grenada; 58 Antigua and Barbuda; 70 Mexico; 80 Belize; 90 Guatemala; 91 Honduras; 92 El Salvador;
93 Nicaragua; 94 Costa Rica; 95 Panama; 100 Colombia; 101 Venezuela; 110 Guyana; 115 Suriname; 130 Ecuador;
135 Peru; 140 Brazil; 145 Bolivia; 150 Paraguay; 155 Chile; 160 Argentina; 165 Uruguay;
200 United Kingdom|Northern Ireland; 205 Ireland; 210 Netherlands; 211 Belgium; 220 France; 223 Liechtenstein;
225 Switzerland; 230 Spain; 235 Portugal; 255 Germany; 265 German Democratic Republic|East Germany; 290 Poland;
305 Austria; 310 Hungary; 315 Czechoslovakia; 317 Slovakia; 325 Italy; 338 Malta; 339 Albania; 341 Montenegro;
343 Macedonia; 344 Croatia; 345 Yugoslavia|Serbia; 346 Bosnia and Herzegovina|Bosnia-Herzegovina; 349 Slovenia;
350 Greece; 352 Cyprus; 355 Bulgaria; 359 Moldova; 360 Romania; 365 Russia|Soviet Union|USSR; 366 Estonia;
367 Latvia; 368 Lithuania; 369 Ukraine; 370 Belarus; 371 Armenia; 372 Georgia; 373 Azerbaijan; 375 Finland;
380 Sweden; 385 Norway; 390 Denmark; 395 Iceland; 404 Guinea-Bissau; 411 Equatorial Guinea;
420 Gambia|Gambia, The; 432 Mali; 433 Senegal; 434 Benin; 435 Mauritania; 436 Niger;
437 Ivory Coast|Cote d'Ivoire; 438 Guinea; 439 Burkina Faso; 450 Liberia; 451 Sierra Leone; 452 Ghana; 461 Togo;
471 Cameroon; 475 Nigeria; 482 Central African Republic; 483 Chad;
484 Congo (Brazzaville)|Congo-Brazzaville (ROC)|Republic of the Congo;
490 Congo, Democratic Republic of the|Democratic Republic of Congo|Zaire/DRC; 500 Uganda; 501 Kenya;
510 Tanzania; 516 Burundi; 517 Rwanda; 520 Somalia; 522 Djibouti; 530 Ethiopia|Ethiopia (excludes Eritrea);
531 Eritrea; 540 Angola; 541 Mozambique; 551 Zambia; 552 Zimbabwe|Rhodesia; 553 Malawi; 560 South Africa;
565 Namibia; 570 Lesotho; 580 Madagascar|Malagasy Republic; 581 Comoros; 600 Morocco; 615 Algeria; 616 Tunisia;
620 Libya; 625 Sudan; 626 South Sudan; 630 Iran; 640 Turkey|Ottoman Empire; 645 Iraq; 651 Egypt|Egypt, Arab Rep.;
652 Syria; 660 Lebanon; 663 Jordan|Transjordan; 666 Israel; 670 Saudi Arabia;
678 Yemen|Yemen, North|Yemen Arab Republic|Republic of Yemen; 680 Yemen People's Republic; 690 Kuwait; 694 Qatar;
696 United Arab Emirates; 698 Oman; 700 Afghanistan; 701 Turkmenistan; 702 Tajikistan; 703 Kyrgyzstan;
704 Uzbekistan; 705 Kazakhstan; 710 China; 712 Mongolia; 713 Taiwan; 731 Korea, North|North Korea;
732 Korea, South|South Korea; 740 Japan; 750 India; 770 Pakistan; 771 Bangladesh; 775 Myanmar|Burma;
780 Sri Lanka|Ceylon; 781 Maldives; 790 Nepal; 800 Thailand; 811 Cambodia; 812 Laos; 816 Vietnam|North Vietnam;
817 South Vietnam; 820 Malaysia|Malaya; 830 Singapore; 835 Brunei; 840 Philippines; 850 Indonesia;
860 East Timor; 900 Australia; 910 Papua New Guinea; 920 New Zealand; 950 Fiji; 955 Tonga
"""

STATE_NUMBERS = {
    name.lower(): int(state.split(" ", 1)[0])
    for state in _STATES.strip().replace("\n", " ").split("; ")
    for name in state.split(" ", 1)[1].split("|")
}


def state_number(place: str) -> int | None:
    """Return the number of a state, or None where a name is not that of one state.

    Examples
    --------
    >>> state_number("Soviet Union"), state_number("Zaire/DRC"), state_number("Tibet")
    (365, 490, None)
    """
    return STATE_NUMBERS.get(place.strip().lower())


def state_numbers(places: str) -> list[int]:
    """Return the numbers of the states in a list of names; names that are no state's are left out.

    Examples
    --------
    >>> state_numbers("Poland,Hungary"), state_numbers("Korea, North"), state_numbers("Balkans")
    ([290, 310], [731], [])
    """
    whole = state_number(places)
    if whole is not None:
        return [whole]
    return [number for place in places.split(",") if (number := state_number(place)) is not None]
